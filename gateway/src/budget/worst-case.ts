// The most that an attempt can come to.
import type { Amount } from '@kadre/store';
import { noUsage, type Usage } from '../conversation/answer.ts';
import type { Attempt } from '../pipeline/hooks.ts';
import { costNanoUsd, type Price } from '../price/price.ts';
import type { Rates } from '../price/price-list.ts';

/** Of an answer to which neither the request nor its Model sets a limit: what most models can write at most, or more. */
const DEFAULT_MAX_OUTPUT_TOKENS = 16_384;
/** Where less is left, such an answer may be cut; but not to less than this, which would be worth nothing. */
const LEAST_OUTPUT_TOKENS = 256;

export interface WorstCase {
  amount: Amount;
  /** To be asked of the provider, so that it stays true. */
  maxOutputTokens: number;
}

/** Without a price the cost is 0: whoever limits money must look at the price first. */
export function worstCaseOf(attempt: Attempt, maxOutputTokens = mostOutput(attempt)): WorstCase {
  const { maxInputTokens, price } = attempt.estimate;
  const cost = price ? worstCost(price, maxInputTokens, maxOutputTokens) : 0;
  return { amount: { costNanoUsd: cost, tokens: maxInputTokens + maxOutputTokens }, maxOutputTokens };
}

/** With the longest answer for which so much is enough; nothing if the request sets a limit of its own, or too little is left. */
export function shorterOf(
  attempt: Attempt,
  { maxOutputTokens: longest }: WorstCase,
  what: keyof Amount,
  most: number,
): WorstCase | undefined {
  if (attempt.estimate.maxOutputTokens !== undefined) return undefined;
  const fits = (tokens: number): boolean => worstCaseOf(attempt, tokens).amount[what] <= most;
  if (fits(longest) || !fits(LEAST_OUTPUT_TOKENS)) return undefined;
  let [enough, tooMuch] = [LEAST_OUTPUT_TOKENS, longest];
  while (tooMuch - enough > 1) {
    const middle = Math.floor((enough + tooMuch) / 2);
    if (fits(middle)) enough = middle;
    else tooMuch = middle;
  }
  return worstCaseOf(attempt, enough);
}

function mostOutput({ request, estimate }: Attempt): number {
  const { budgetTokens = 0 } = ('messages' in request && request.reasoning) || {};
  return estimate.maxOutputTokens ?? DEFAULT_MAX_OUTPUT_TOKENS + budgetTokens;
}

/** All input may be read from the provider's cache, or written to it, and a longer input may be cheaper than a short one. */
function worstCost(price: Price, inputTokens: number, outputTokens: number): number {
  const { tiers = [], ...base } = price;
  const reachable: Rates[] = [base, ...tiers.filter(({ above }) => inputTokens > above)];
  const ways: Partial<Usage>[] = [
    {},
    { cachedInputTokens: inputTokens },
    { cacheWriteTokens: inputTokens },
    { cacheWriteTokens: inputTokens, longCacheWriteTokens: inputTokens },
  ];
  const costs = reachable.flatMap((rates) =>
    ways.map((usage) => costNanoUsd(rates, { ...noUsage, inputTokens, outputTokens, ...usage })),
  );
  // What rounds to nothing is still not free.
  return Math.max(isFree(price) ? 0 : 1, ...costs);
}

const isFree = ({ input, output, write = '0', writeHour = '0', tiers = [] }: Price): boolean =>
  [input, output, write, writeHour].every((rate) => Number(rate) === 0) && tiers.every(isFree);
