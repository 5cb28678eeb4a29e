// What a call costs, in whole nano-USD. All arithmetic is on integers: prices are decimals, and so are people's bills.
import type { ModelSpec, ProviderModel } from '@kadre/crds';
import type { Logger } from 'pino';
import type { Usage } from '../conversation/answer.ts';
import type { PriceSource } from '../options.ts';
import { parsePriceList, type Price, type ModelPrices, type PriceList, type Rates } from './price-list.ts';
import { snapshot } from './snapshot.ts';

export type { Price } from './price-list.ts';

export interface PriceBook {
  /**
   * The price of a Model at a point in time (milliseconds since 1970): its own, else that of the operator's list, else
   * the bundled one of the provider's model. `undefined` if none is known.
   */
  priceOf: (spec: ProviderModel['spec'], now: number) => Price | undefined;
}

/** Follows the source live: a list is read when it is another one. A faulty one is logged, and the last good one holds. */
export function createPriceBook(source: PriceSource | undefined, logger: Pick<Logger, 'error' | 'info'>): PriceBook {
  let seen: string | undefined;
  let override: PriceList = {};
  const refresh = (): void => {
    const text = source?.current();
    if (text === seen) return;
    seen = text;
    try {
      override = text === undefined ? {} : parsePriceList(text);
      logger.info('The list of prices was read.');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.error(`The list of prices cannot be used, the one before it still holds: ${why}`);
    }
  };
  return {
    priceOf: (spec, now) => {
      if (spec.price) return ownPrice(spec.price);
      if (spec.provider === 'simulated') return FREE;
      if (spec.model === undefined) return undefined;
      refresh();
      return listed(override, spec, spec.model, now) ?? listed(snapshot, spec, spec.model, now);
    },
  };
}

const FREE: Price = { input: '0', output: '0' };

/** A Model of Kubernetes writes the same in its own words. */
function ownPrice({ tiers, ...rates }: NonNullable<ModelSpec['price']>): Price {
  const own = ratesOf(rates);
  if (!tiers?.length) return own;
  return {
    ...own,
    tiers: tiers.map(({ aboveInputTokens, ...tier }) => ({ above: aboveInputTokens, ...ratesOf(tier) })),
  };
}

function ratesOf(rates: Omit<NonNullable<ModelSpec['price']>, 'tiers'>): Rates {
  const { inputPerMillion, outputPerMillion, cachedInputPerMillion, cacheWritePerMillion, cacheWriteHourPerMillion } =
    rates;
  return {
    input: inputPerMillion,
    output: outputPerMillion,
    ...(cachedInputPerMillion === undefined ? {} : { cached: cachedInputPerMillion }),
    ...(cacheWritePerMillion === undefined ? {} : { write: cacheWritePerMillion }),
    ...(cacheWriteHourPerMillion === undefined ? {} : { writeHour: cacheWriteHourPerMillion }),
  };
}

function listed(list: PriceList, { provider }: ProviderModel['spec'], model: string, now: number): Price | undefined {
  const models: ModelPrices = list[provider] ?? {};
  const rows = namesOf(model)
    .map((name) => (Object.hasOwn(models, name) ? models[name] : undefined))
    .find((found) => found !== undefined);
  if (rows?.length === 1 && rows[0]?.from === undefined) return rows[0];
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
  const rates: Rates = price.tiers?.findLast(({ above }) => usage.inputTokens > above) ?? price;
  const { inputTokens, cachedInputTokens, cacheWriteTokens, longCacheWriteTokens = 0, outputTokens } = usage;
  const write = rates.write ?? rates.input;
  const exact =
    BigInt(Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens)) * scaled(rates.input) +
    BigInt(cachedInputTokens) * scaled(rates.cached ?? rates.input) +
    BigInt(cacheWriteTokens - longCacheWriteTokens) * scaled(write) +
    BigInt(longCacheWriteTokens) * scaled(rates.writeHour ?? write) +
    BigInt(outputTokens) * scaled(rates.output);
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
