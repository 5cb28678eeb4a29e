// What a Model's `limits` come to for this one of several gateways.
import { milliseconds, type ModelSpec } from '@kadre/crds';
import { Bucket } from './bucket.ts';

/** This gateway is number `rank`, from 0, of so many that are alive. */
export interface Share {
  readonly rank: number;
  readonly of: number;
}

const MAX_WAIT_MS = 30_000;

export interface Limited {
  requests?: Bucket;
  tokens?: Bucket;
  concurrent?: number;
  maxWaitMs: number;
}

/** `before`: what they came to until now. Its buckets go on with what is in them. */
export function limitsOf(
  { limits }: Pick<ModelSpec, 'limits'>,
  { rank, of }: Share,
  before: Limited,
  now: number,
): Limited {
  const requests = bucketOf(limits?.requestsPerMinute, of, before.requests, now);
  const tokens = bucketOf(limits?.tokensPerMinute, of, before.tokens, now);
  return {
    ...(requests && { requests }),
    ...(tokens && { tokens }),
    ...(limits?.concurrent !== undefined && { concurrent: placesOf(limits.concurrent, rank, of) }),
    maxWaitMs: limits?.maxWait === undefined ? MAX_WAIT_MS : milliseconds(limits.maxWait),
  };
}

export const unlimited: Limited = { maxWaitMs: MAX_WAIT_MS };

export const isUnlimited = ({ requests, tokens, concurrent }: Limited): boolean =>
  requests === undefined && tokens === undefined && concurrent === undefined;

function bucketOf(
  perMinute: number | undefined,
  of: number,
  before: Bucket | undefined,
  now: number,
): Bucket | undefined {
  if (perMinute === undefined) return undefined;
  before?.limitTo(perMinute / of, now);
  return before ?? new Bucket(perMinute / of, now);
}

/** All shares together are the limit; but nobody who is asked can do with none. */
const placesOf = (limit: number, rank: number, of: number): number =>
  Math.max(1, Math.floor(limit / of) + (rank < limit % of ? 1 : 0));
