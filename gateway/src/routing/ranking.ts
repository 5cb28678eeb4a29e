// In which order the candidates of a route are asked.
import type { ModelRoute, ProviderModel, RoutePath } from '@kadre/crds';
import { noUsage } from '../conversation/answer.ts';
import type { Clock } from '../options.ts';
import type { Call } from '../pipeline/call.ts';
import { estimateOf, withParameters } from '../pipeline/estimate.ts';
import { costNanoUsd, type PriceBook } from '../price/price.ts';
import type { Observations } from './observations.ts';

export type RouteCandidate = ModelRoute['candidates'][number];

/** A candidate that can be asked. */
export interface Able {
  entry: RouteCandidate;
  model: ProviderModel;
}

export interface Ranked extends Able {
  /** What it was ranked by: nano-USD, milliseconds, a weight. Absent: nobody knows, or its place in the list decides. */
  score?: number;
  reason: string;
}

export interface RankingServices {
  prices: PriceBook;
  observations: Observations;
  clock: Clock;
  random: () => number;
}

const TYPICAL_OUTPUT_TOKENS = 1_000;
/** Of the calls, how many go to a Model of which nobody knows how fast it is. */
const EXPLORED = 0.1;

export const byPlace = (able: readonly Able[]): Ranked[] =>
  able.map((one, index) => ({ ...one, reason: index === 0 ? 'the first that can answer' : 'next in the list' }));

/** The cheapest first; ties in the order of the list; unpriced ones last, and never taken for free. */
export function byPrice(able: readonly Able[], call: Call, { prices, clock }: RankingServices): Ranked[] {
  const ranked = able.map((one): Ranked => {
    const request = call.operation === 'chat' ? withParameters(call.request, one.model) : call.request;
    const { inputTokens, maxOutputTokens, price } = estimateOf(request, prices.priceOf(one.model.spec, clock.now()));
    if (!price) return { ...one, reason: 'its price is not known: it comes last' };
    const outputTokens = maxOutputTokens ?? TYPICAL_OUTPUT_TOKENS;
    const score = costNanoUsd(price, { ...noUsage, inputTokens, outputTokens });
    return { ...one, score, reason: `${dollars(score)} USD for ${inputTokens} tokens in and ${outputTokens} out` };
  });
  return ranked.toSorted((a, b) => difference(a.score ?? Infinity, b.score ?? Infinity));
}

/** The fastest first. Now and then a call goes to one of which nobody knows, so that somebody will. */
export function bySpeed(able: readonly Able[], call: Call, { observations, random }: RankingServices): Ranked[] {
  const ranked = able.map((one): Ranked => {
    const score = observations.expected(one.model, call.streamed);
    if (score === undefined) return { ...one, reason: 'nobody has seen lately how fast it is' };
    if (score === Infinity) return { ...one, score, reason: 'lately it only failed' };
    return { ...one, score, reason: `${Math.round(score)} ms to ${call.streamed ? 'the first piece' : 'the answer'}` };
  });
  const seen = ranked.filter(({ score }) => score !== undefined && score !== Infinity);
  const unseen = ranked.filter(({ score }) => score === undefined);
  const failing = ranked.filter(({ score }) => score === Infinity);
  const sorted = seen.toSorted((a, b) => difference(a.score ?? 0, b.score ?? 0));
  const explored = seen.length > 0 && unseen.length > 0 && random() < EXPLORED;
  if (!explored) return [...sorted, ...unseen, ...failing];
  const [tried, ...others] = rotated(unseen, Math.floor(random() * unseen.length));
  const first = tried ? [{ ...tried, reason: `${tried.reason}: this call finds out` }] : [];
  return [...first, ...sorted, ...others, ...failing];
}

/** Drawn by weight, without replacement. Those of no weight come last. */
export function byWeight(able: readonly Able[], random: () => number): Ranked[] {
  const left = able.filter(({ entry }) => (entry.weight ?? 0) > 0);
  const idle = able.filter(({ entry }) => (entry.weight ?? 0) === 0);
  const drawn: Ranked[] = [];
  while (left.length > 0) {
    const sum = left.reduce((total, { entry }) => total + (entry.weight ?? 0), 0);
    let point = random() * sum;
    const hit = left.findIndex(({ entry }) => (point -= entry.weight ?? 0) < 0);
    const [one] = left.splice(hit < 0 ? left.length - 1 : hit, 1);
    if (one)
      drawn.push({ ...one, score: one.entry.weight ?? 0, reason: `drawn by its share, ${one.entry.weight} of ${sum}` });
  }
  return [...drawn, ...idle.map((one) => ({ ...one, score: 0, reason: 'without weight: only when no other can' }))];
}

/** Where else a call goes when nobody on its own path can answer. */
const detours: Record<RoutePath, readonly RoutePath[]> = {
  speed: ['speed', 'quality', 'reliability'],
  quality: ['quality', 'reliability', 'speed'],
  reliability: ['reliability', 'quality', 'speed'],
};

export const byPath = (able: readonly Able[], path: RoutePath): Ranked[] =>
  detours[path].flatMap((one) =>
    able
      .filter(({ entry }) => entry.path === one)
      .map((found) => ({
        ...found,
        reason: one === path ? `on the path of ${path}` : `of the path of ${one}, instead`,
      })),
  );

const difference = (a: number, b: number): number => (a === b ? 0 : a - b);
const rotated = <T>(list: readonly T[], by: number): T[] => [...list.slice(by), ...list.slice(0, by)];
const dollars = (nanoUsd: number): string => (nanoUsd / 1e9).toFixed(9).replace(/\.?0+$/, '');
