// What a caller is told whose turn does not come in time.
import type { ProviderModel } from '@kadre/crds';
import { GatewayError, unavailable } from '../errors.ts';
import type { Breaker } from './breaker.ts';
import { failing, secondsOf } from './words.ts';

/** What a call waits for, or is refused for; values of a metric's label. */
export type Obstacle = 'requests' | 'tokens' | 'concurrent' | 'provider' | 'breaker' | 'queue';

interface Refused {
  model: ProviderModel;
  obstacle: Obstacle;
  /** Milliseconds until the call may get its turn. */
  waitMs: number;
  /** Milliseconds that it could have waited. */
  patienceMs: number;
}

/** A 429 `RateLimited`, or a 503 `ModelUnavailable` while it is tried whether the Model is well again. */
export function tooLong({ model, obstacle, waitMs, patienceMs }: Refused, breaker: Breaker): GatewayError {
  const { name } = model.metadata;
  const retryAfter = String(secondsOf(waitMs));
  if (obstacle === 'breaker')
    return unavailable(`${failing(`Model ${name}`, breaker)} It is being tried again.`, retryAfter);
  const message = `Model ${name}: ${whyOf(obstacle, model)}, and this call can wait for ${lengthOf(patienceMs)}. ${mendOf(obstacle)} in ${retryAfter} s.`;
  return new GatewayError(429, 'RateLimited', message, { retryAfter });
}

/** A 503 `ModelUnavailable`. */
export function resting({ metadata }: ProviderModel, breaker: Breaker, now: number): GatewayError {
  const seconds = secondsOf(breaker.until - now);
  return unavailable(
    `${failing(`Model ${metadata.name}`, breaker)} It is tried again in ${seconds} s.`,
    String(seconds),
  );
}

function whyOf(obstacle: Obstacle, { spec: { limits } }: ProviderModel): string {
  switch (obstacle) {
    case 'requests':
      return `its limit of ${limits?.requestsPerMinute} requests a minute is reached`;
    case 'tokens':
      return `its limit of ${limits?.tokensPerMinute} tokens a minute is reached`;
    case 'concurrent':
      return `its limit of ${limits?.concurrent} concurrent calls is reached`;
    case 'provider':
      return 'its provider asks to wait';
    default:
      return 'too many calls wait for their turn already';
  }
}

const mendOf = (obstacle: Obstacle): string =>
  obstacle === 'provider' || obstacle === 'queue' ? 'Try again' : 'Raise spec.limits of the Model, or try again';

const lengthOf = (ms: number): string =>
  ms < 1000 ? `${Math.max(0, Math.round(ms))} ms` : `${Math.round(ms / 1000)} s`;
