// A queue ordered by time: the earliest is found at once, and what is due without looking at the rest.

export class TimeHeap<T extends { at: number }> {
  readonly #entries: T[] = [];

  push(entry: T): void {
    const entries = this.#entries;
    let at = entries.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#time(parent) <= entry.at) break;
      entries[at] = entries[parent] as T;
      at = parent;
    }
    entries[at] = entry;
  }

  /** Takes out entries from the front for as long as `stale` says so. */
  dropWhile(stale: (entry: T) => boolean): void {
    while (this.#entries[0] && stale(this.#entries[0])) this.#removeFirst();
  }

  /**
   * Visits entries with `at <= now` until `visit` returns false; each comes after those that stand above it in the heap,
   * so not strictly by time. Returns the earliest time after `now` among those it met, or Infinity.
   */
  visitDue(now: number, visit: (entry: T) => boolean): number {
    let later = Infinity;
    const pending = [0];
    for (let position = pending.pop(); position !== undefined; position = pending.pop()) {
      const entry = this.#entries[position];
      if (!entry) continue;
      if (entry.at > now) later = Math.min(later, entry.at);
      else if (!visit(entry)) return Infinity;
      else pending.push(2 * position + 2, 2 * position + 1);
    }
    return later;
  }

  #removeFirst(): void {
    const entries = this.#entries;
    const last = entries.pop();
    if (!last || entries.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const child = this.#time(left + 1) < this.#time(left) ? left + 1 : left;
      if (this.#time(child) >= last.at) break;
      entries[at] = entries[child] as T;
      at = child;
    }
    entries[at] = last;
  }

  #time(position: number): number {
    return this.#entries[position]?.at ?? Infinity;
  }
}
