// How much an agent does at once, and how it comes to an end.
import { AgentFailure } from '../failure.ts';

/** The right to do one piece of work. */
export interface Slot {
  /** Aborts with an {@link AgentFailure} as its reason. */
  readonly signal: AbortSignal;
  abort(failure: AgentFailure): void;
  release(): void;
}

const BUSY_RETRY_AFTER_S = 1;

/** Admits work up to a limit; once it drains, it admits none and waits for what is under way. */
export class WorkGate {
  readonly #maxConcurrent: number;
  readonly #active = new Set<AbortController>();
  #draining = false;
  #onIdle: (() => void) | undefined;

  /** @param maxConcurrent pieces of work at once; how long each may take is for the agent's own limit to say */
  constructor(maxConcurrent: number) {
    this.#maxConcurrent = maxConcurrent;
  }

  get active(): number {
    return this.#active.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** @throws {AgentFailure} with reason AgentUnavailable when there is no room or the process is about to end. */
  enter(): Slot {
    if (this.#draining) throw unavailable('The agent is shutting down; another replica will answer.');
    if (this.#active.size >= this.#maxConcurrent) {
      throw unavailable(`The agent is at work on ${this.#active.size} requests, which is its limit; try again later.`);
    }
    const controller = new AbortController();
    const abort = (failure: AgentFailure): void => controller.abort(failure);
    this.#active.add(controller);
    const release = (): void => {
      this.#active.delete(controller);
      if (this.#active.size === 0) this.#onIdle?.();
    };
    return { signal: controller.signal, abort, release };
  }

  /** Resolves when nothing is under way any more. What is not done after `graceMs` is aborted. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    if (this.#active.size === 0) return;
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
    const deadline = setTimeout(() => {
      for (const controller of this.#active)
        controller.abort(unavailable('The agent was shut down before it had an answer.'));
    }, graceMs);
    await idle;
    clearTimeout(deadline);
  }
}

function unavailable(message: string): AgentFailure {
  return new AgentFailure('AgentUnavailable', message, { retryAfter: BUSY_RETRY_AFTER_S });
}
