// Runs that attempts have asked for, by tools that are Workflows: they end with the attempt, however it ends.
import type { RunRequestRecord, Store } from '@kadre/store';
import { placeOf } from '../core/ids.ts';
import type { RunState } from '../core/state.ts';

type Asker = NonNullable<RunRequestRecord['parent']>;

export class AskedRuns {
  readonly #store: Pick<Store, 'runRequest' | 'cancelRunRequest'>;
  readonly #state: RunState;
  /** Who asked for those that are not over, by the key in the store. */
  readonly #open = new Map<string, Asker>();

  constructor(store: Pick<Store, 'runRequest' | 'cancelRunRequest'>, state: RunState) {
    this.#store = store;
    this.#state = state;
  }

  /** Of these requests there may be news. */
  async learn(keys: Iterable<string>): Promise<void> {
    for (const key of keys) {
      const record = await this.#store.runRequest(key);
      const isOpen = record?.state === 'requested' || record?.state === 'made';
      if (isOpen && record.parent?.run === this.#state.run.uid && !record.cancelled) this.#open.set(key, record.parent);
      else this.#open.delete(key);
    }
  }

  /** Takes back what was asked for by attempts that are over, once that is recorded. */
  async takeBack(): Promise<void> {
    for (const [key, asker] of this.#open) {
      if (!this.#isOver(asker)) continue;
      await this.#store.cancelRunRequest(key);
      this.#open.delete(key);
    }
  }

  /** What this engine has not heard of yet is not over: one that has lost its seat may know less than whoever asked. */
  #isOver({ step, attempt }: Asker): boolean {
    const [id = ''] = step.split('/');
    const active = this.#state.active.get(id);
    if (active) return active.attempt > attempt;
    return this.#state.steps.get(placeOf(id).step)?.phase !== 'Pending';
  }
}
