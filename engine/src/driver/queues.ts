// The runs of this engine that wait for a place in a queue. The store knows whose turn it is; this knows whom to wake.
import type { Applicant } from './admission.ts';

interface Waiting {
  applicant: Applicant;
  priority: number;
}

/** How many are woken when a place falls free. Runs at other engines may be before them; the poll wakes all. */
const WOKEN = 8;

export class Queues {
  readonly #queues = new Map<string, Waiting[]>();

  /** Idempotent. */
  join(queue: string, applicant: Applicant, priority: number): void {
    const waiting = this.#queues.get(queue) ?? [];
    this.#queues.set(queue, waiting);
    if (waiting.some((one) => one.applicant === applicant)) return;
    const place = waiting.findIndex((one) => one.priority < priority);
    waiting.splice(place === -1 ? waiting.length : place, 0, { applicant, priority });
  }

  /** The applicant has its place, or is gone. */
  leave(applicant: Applicant): void {
    for (const [queue, waiting] of this.#queues) {
      const place = waiting.findIndex((one) => one.applicant === applicant);
      if (place === -1) continue;
      waiting.splice(place, 1);
      if (waiting.length === 0) this.#queues.delete(queue);
    }
  }

  /** Something changed in the queue. */
  wake(queue: string): void {
    for (const { applicant } of (this.#queues.get(queue) ?? []).slice(0, WOKEN)) applicant.poke();
  }
}
