// What a call costs, in whole nano-USD. All arithmetic is on integers: prices are decimals, and so are people's bills.
import type { ModelSpec } from '@kadre/crds';
import type { Usage } from '../providers/provider.ts';
import { snapshot, type PriceRow } from './snapshot.ts';

/** USD for a million tokens, as decimal strings. */
export interface Price {
  input: string;
  output: string;
  cached?: string;
  write?: string;
  above?: { tokens: number; input: string; output: string; cached?: string; write?: string };
}

/**
 * The price of a Model at a point in time (milliseconds since 1970): its own, else the bundled one of the provider's
 * model. `undefined` if neither is known; a model that merely speaks OpenAI's protocol has no known price.
 */
export function priceOf(spec: ModelSpec, now: number): Price | undefined {
  if (spec.price) {
    const { inputPerMillion, outputPerMillion, cachedInputPerMillion, cacheWritePerMillion } = spec.price;
    return {
      input: inputPerMillion,
      output: outputPerMillion,
      ...(cachedInputPerMillion === undefined ? {} : { cached: cachedInputPerMillion }),
      ...(cacheWritePerMillion === undefined ? {} : { write: cacheWritePerMillion }),
    };
  }
  if (spec.provider === 'simulated') return { input: '0', output: '0' };
  if (spec.provider === 'openaiCompatible' || spec.model === undefined) return undefined;
  const list: Readonly<Record<string, readonly PriceRow[]>> = snapshot[spec.provider];
  const rows = namesOf(spec.model)
    .map((name) => (Object.hasOwn(list, name) ? list[name] : undefined))
    .find((found) => found !== undefined);
  const today = new Date(now).toISOString().slice(0, 10);
  return rows?.findLast((row) => row.from === undefined || row.from <= today);
}

/** `models/x-2025-08-07` is also `x`: a dated release costs what its family costs unless it is listed by itself. */
function namesOf(model: string): string[] {
  const name = model.replace(/^models\//, '');
  return [name, name.replace(/(-\d{4}-\d{2}-\d{2}|-\d{8}|-latest|-\d{3}|-0)$/, '')];
}

/** Rounded to the nearest nano-USD. Costs beyond what a number holds exactly (9 million USD a call) are cut there. */
export function costNanoUsd(price: Price, usage: Usage): number {
  const rates = price.above && usage.inputTokens > price.above.tokens ? price.above : price;
  const plainInput = Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens);
  const exact =
    BigInt(plainInput) * scaled(rates.input) +
    BigInt(usage.cachedInputTokens) * scaled(rates.cached ?? rates.input) +
    BigInt(usage.cacheWriteTokens) * scaled(rates.write ?? rates.input) +
    BigInt(usage.outputTokens) * scaled(rates.output);
  // USD per million tokens is 1000 nano-USD per token.
  const divisor = SCALE / 1000n;
  const nano = (exact + divisor / 2n) / divisor;
  return Number(nano > MAX ? MAX : nano);
}

/** The API admits 24 characters, so no price has more than 22 decimals. */
const DECIMALS = 24;
const SCALE = 10n ** BigInt(DECIMALS);
const MAX = BigInt(Number.MAX_SAFE_INTEGER);

function scaled(decimal: string): bigint {
  const [whole = '0', fraction = ''] = decimal.split('.');
  return BigInt(whole + fraction.slice(0, DECIMALS).padEnd(DECIMALS, '0'));
}
