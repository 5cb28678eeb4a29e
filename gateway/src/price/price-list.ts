// Prices as data: the form of the bundled snapshot, and of the JSON that replaces parts of it.
import type { Provider } from '@kadre/crds';

/** USD for a million tokens, as decimal strings. */
export interface Rates {
  input: string;
  output: string;
  /** Input read from the cache; absent: as input. */
  cached?: string;
  /** Input written to the cache, for five minutes where the provider knows several; absent: as input. */
  write?: string;
  /** Input written to the cache for an hour; absent: as `write`. */
  writeHour?: string;
}

export interface Price extends Rates {
  /** Rates of a call with more input tokens than `above`, for all of its tokens; the highest bound that is passed holds. */
  tiers?: readonly Tier[];
}

export interface Tier extends Rates {
  above: number;
}

export interface PriceRow extends Price {
  /** First day of this price, such as 2026-11-21. */
  from?: string;
}

/** Rows by provider and by the provider's name of the model; later rows replace earlier ones on their day. */
export type PriceList = Partial<Readonly<Record<Provider, ModelPrices>>>;

export type ModelPrices = Readonly<Record<string, readonly PriceRow[]>>;

const DECIMAL = /^[0-9]{1,12}(\.[0-9]{1,12})?$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const providers: readonly string[] = ['openai', 'anthropic', 'google', 'openaiCompatible'];

/**
 * Reads a list that somebody wrote by hand.
 *
 * @throws {Error} that says what is wrong and where
 */
export function parsePriceList(text: string): PriceList {
  const list = objectIn(JSON.parse(text), 'the list');
  for (const [provider, models] of Object.entries(list)) {
    if (!providers.includes(provider))
      throw new Error(`${provider}: there is no such provider, only ${providers.join(', ')}`);
    for (const [model, rows] of Object.entries(objectIn(models, provider))) {
      const path = `${provider}.${model}`;
      if (!Array.isArray(rows) || rows.length === 0) throw new Error(`${path}: must be a list of at least one price`);
      rows.forEach((row, index) => checkRow(row, `${path}[${index}]`));
    }
  }
  return list;
}

function checkRow(value: unknown, path: string): void {
  const row = objectIn(value, path);
  const { from, tiers = [], ...rates } = row;
  if (from !== undefined && (typeof from !== 'string' || !DAY.test(from))) {
    throw new Error(`${path}.from: must be a day such as 2026-11-21`);
  }
  checkRates(rates, path);
  if (!Array.isArray(tiers)) throw new Error(`${path}.tiers: must be a list`);
  tiers.forEach((tier: unknown, index) => {
    const { above, ...own } = objectIn(tier, `${path}.tiers[${index}]`);
    if (!Number.isSafeInteger(above)) throw new Error(`${path}.tiers[${index}].above: must be a number of tokens`);
    checkRates(own, `${path}.tiers[${index}]`);
  });
}

function checkRates(rates: Record<string, unknown>, path: string): void {
  for (const name of ['input', 'output', 'cached', 'write', 'writeHour']) {
    const value = rates[name];
    if (value === undefined && name !== 'input' && name !== 'output') continue;
    if (typeof value !== 'string' || !DECIMAL.test(value)) {
      throw new Error(`${path}.${name}: must be USD for a million tokens as a decimal in quotes, such as "2.50"`);
    }
  }
  const unknown = Object.keys(rates).find(
    (name) => !['input', 'output', 'cached', 'write', 'writeHour'].includes(name),
  );
  if (unknown !== undefined) throw new Error(`${path}.${unknown}: there is no such field`);
}

function objectIn(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Error(`${path}: must be an object`);
}
