// So much a minute, spread evenly. A bucket holds ten seconds' worth, so in any one minute there is at most a sixth more
// than the limit says.

const MINUTE_MS = 60_000;
const BURST = 1 / 6;
/** Sums of fractions are not exact; without this a call might wait for nothing. */
const NEARLY = 1e-6;

export class Bucket {
  /** May be negative: what was taken beyond the estimate is owed, up to a minute's worth. */
  #level = 0;
  #at: number;
  #perMs = 0;
  #capacity = 0;

  constructor(perMinute: number, now: number) {
    this.#at = now;
    this.limitTo(perMinute, now);
    this.#level = this.#capacity;
  }

  limitTo(perMinute: number, now: number): void {
    this.#refill(now);
    this.#perMs = perMinute / MINUTE_MS;
    this.#capacity = Math.max(1, perMinute * BURST);
    this.give(0);
  }

  /**
   * Milliseconds until so much can be had, after those `ahead` had theirs; 0: now. More than the bucket holds can be had
   * when it is full, and leaves a debt.
   */
  wait(amount: number, now: number, ahead = 0): number {
    this.#refill(now);
    const missing = Math.min(amount, this.#capacity) + ahead - this.#level;
    return missing <= NEARLY ? 0 : Math.ceil(missing / this.#perMs);
  }

  take(amount: number, now: number): void {
    this.#refill(now);
    this.give(-amount);
  }

  /** Gives back what was taken too much; negative: takes what was taken too little. */
  give(amount: number): void {
    const level = Math.min(this.#level + amount, this.#capacity);
    this.#level = Math.max(level, -this.#perMs * MINUTE_MS);
  }

  #refill(now: number): void {
    const passed = Math.max(0, now - this.#at);
    this.#at = now;
    this.#level = Math.min(this.#capacity, this.#level + passed * this.#perMs);
  }
}
