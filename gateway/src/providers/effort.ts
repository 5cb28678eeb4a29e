// How hard a model thinks: some providers count tokens, some know words, and each can be told in terms of the other.
import type { Effort, ReasoningSettings } from '../conversation/request.ts';

const budgets: readonly (readonly [Effort, number])[] = [
  ['none', 0],
  ['minimal', 1_024],
  ['low', 4_096],
  ['medium', 12_288],
  ['high', 32_768],
  ['xhigh', 65_536],
  ['max', 131_072],
];

/** The word for a number of tokens; undefined if nothing was said at all. */
export function effortOf({ effort, budgetTokens }: ReasoningSettings): Effort | undefined {
  if (effort !== undefined || budgetTokens === undefined) return effort;
  return budgets.find(([, tokens]) => budgetTokens <= tokens)?.[0] ?? 'max';
}

/** The number of tokens for a word; undefined if nothing was said at all. */
export function budgetOf({ effort, budgetTokens }: ReasoningSettings): number | undefined {
  return budgetTokens ?? budgets.find(([word]) => word === effort)?.[1];
}
