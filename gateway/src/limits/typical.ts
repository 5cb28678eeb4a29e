// What calls of a Model come to: for how many tokens to take before one is made, and how long its turn is.
import type { Estimate, Outcome } from '../pipeline/hooks.ts';

/** Of a Model that nobody has asked yet. */
const OUTPUT_TOKENS = 500;
const TOKENS = 1_000;
const DURATION_MS = 2_000;
/** How much the latest call counts. */
const WEIGHT = 0.1;

export class Typical {
  #outputTokens = OUTPUT_TOKENS;
  #tokens = TOKENS;
  #durationMs = DURATION_MS;

  get tokens(): number {
    return this.#tokens;
  }

  get durationMs(): number {
    return this.#durationMs;
  }

  tokensOf({ inputTokens, maxOutputTokens = Infinity }: Estimate): number {
    return inputTokens + Math.min(maxOutputTokens, this.#outputTokens);
  }

  learn({ error, usage, durationMs }: Outcome): void {
    if (error || !usage) return;
    this.#outputTokens += (usage.outputTokens - this.#outputTokens) * WEIGHT;
    this.#tokens += (usage.inputTokens + usage.outputTokens - this.#tokens) * WEIGHT;
    this.#durationMs += (durationMs - this.#durationMs) * WEIGHT;
  }
}
