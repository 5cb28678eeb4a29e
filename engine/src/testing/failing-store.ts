// A store that fails at one chosen write: before it, or after it was made but before the word of it got out.
import type { Store } from '@kadre/store';

export type Fault = 'before' | 'after';

export class FailingStore {
  /** The engine writes through this. */
  readonly store: Store;
  /** Resolves when the fault has struck. */
  readonly struck: Promise<void>;
  writes = 0;
  #strike: () => void = () => undefined;
  #dead = false;

  /** `dies`: from the fault on nothing works any more, as in a process that was killed. */
  constructor(inner: Store, fault: { at: number; when: Fault; dies: boolean }) {
    this.struck = new Promise((resolve) => (this.#strike = resolve));
    const append: Store['append'] = async (...args) => {
      const strikes = ++this.writes === fault.at;
      if (strikes && fault.when === 'before') this.#fail(fault.dies);
      await inner.append(...args);
      if (strikes) this.#fail(fault.dies);
    };
    this.store = new Proxy(inner, {
      get: (target, name, receiver) => {
        if (this.#dead) return () => Promise.reject(new Error('the process is dead'));
        return name === 'append' ? append : (Reflect.get(target, name, receiver) as unknown);
      },
    });
  }

  #fail(dies: boolean): never {
    this.#dead = dies;
    this.#strike();
    throw new Error('the disk is on fire');
  }
}
