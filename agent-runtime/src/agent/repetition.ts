// An agent that does the same again and again gets nowhere, and pays for it.
import type { ModelToolCall } from './chat.ts';

/** So often may an agent do the same in a row. */
export const MAX_REPETITIONS = 3;
const LONGEST_CYCLE = 2;

/** Counts rounds of calls that repeat what went before, one by one or in turns. */
export class Repetition {
  #rounds: string[] = [];

  /** How often this round, or the two that end with it, have now come in a row. */
  count(calls: readonly ModelToolCall[]): number {
    this.#rounds.push(JSON.stringify(calls.map((call) => [call.function.name, normal(call.function.arguments)])));
    this.#rounds = this.#rounds.slice(-MAX_REPETITIONS * LONGEST_CYCLE);
    return Math.max(...[1, LONGEST_CYCLE].map((length) => this.#repeats(length)));
  }

  #repeats(length: number): number {
    const rounds = this.#rounds;
    let same = length;
    while (same < rounds.length && rounds.at(-1 - same) === rounds.at(-1 - same + length)) same += 1;
    return Math.floor(same / length);
  }
}

/** Without regard to white space. */
function normal(text: string | null | undefined): string {
  try {
    return JSON.stringify(JSON.parse(text || '{}'));
  } catch {
    return text ?? '';
  }
}
