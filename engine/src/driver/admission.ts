// Lets so many attempts at a time through to an agent, or to jobs, and shares the places among runs: each time a place
// falls free, the run that has waited longest gets it.

export interface Applicant {
  /** A place is kept for the applicant: it should apply again, or `settle`. */
  poke(): void;
}

interface Counter {
  used: number;
  waiting: Set<Applicant>;
  /** Whom a place is kept for; they count as used. */
  kept: Set<Applicant>;
}

export class Admission {
  readonly #limitOf: (key: string) => number;
  readonly #counters = new Map<string, Counter>();

  constructor(limitOf: (key: string) => number) {
    this.#limitOf = limitOf;
  }

  /** Takes a place, or queues the applicant and pokes it when it is its turn. */
  acquire(key: string, applicant: Applicant): boolean {
    const counter = this.#counter(key);
    if (counter.kept.delete(applicant)) return true;
    if (counter.used < this.#limitOf(key) && counter.waiting.size === 0) {
      counter.used++;
      return true;
    }
    counter.waiting.add(applicant);
    return false;
  }

  /** Takes a place for an attempt that was handed out before, even beyond the limit. */
  reclaim(key: string): void {
    this.#counter(key).used++;
  }

  release(key: string): void {
    const counter = this.#counter(key);
    counter.used--;
    this.#callNext(key, counter);
  }

  /** The applicant has taken all that it wants for now: places still kept for it go to others. */
  settle(applicant: Applicant): void {
    for (const [key, counter] of this.#counters) {
      if (!counter.kept.delete(applicant)) continue;
      counter.used--;
      this.#callNext(key, counter);
    }
  }

  /** The applicant is gone. */
  withdraw(applicant: Applicant): void {
    for (const { waiting } of this.#counters.values()) waiting.delete(applicant);
    this.settle(applicant);
  }

  #callNext(key: string, counter: Counter): void {
    while (counter.used < this.#limitOf(key)) {
      const [next] = counter.waiting;
      if (!next) break;
      counter.waiting.delete(next);
      counter.kept.add(next);
      counter.used++;
      next.poke();
    }
    if (counter.used === 0 && counter.waiting.size === 0) this.#counters.delete(key);
  }

  #counter(key: string): Counter {
    const known = this.#counters.get(key);
    if (known) return known;
    const counter: Counter = { used: 0, waiting: new Set(), kept: new Set() };
    this.#counters.set(key, counter);
    return counter;
  }
}
