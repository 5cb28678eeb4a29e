// Attempts whose outcomes go into the decision.
import type { Answer } from '../conversation/answer.ts';
import { lengthOfContent } from '../conversation/answer.ts';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';
import type { Attempts, Candidate } from '../pipeline/hooks.ts';
import { costNanoUsd, type PriceBook } from '../price/price.ts';
import type { Asked, Draft } from './draft.ts';

export interface Notes {
  draft: Draft;
  prices: PriceBook;
  clock: Clock;
}

/** A candidate whose attempts are for something else than the answer. */
export interface RoleCandidate extends Candidate {
  role?: Asked['as'];
}

export interface NotedAttempts extends Attempts {
  /** Name of the last one that answered. */
  readonly answeredBy: string | undefined;
  /** Of all that were asked, by their names. */
  readonly providers: ReadonlyMap<string, string>;
}

export function noted(attempts: Attempts, { draft, prices, clock }: Notes): NotedAttempts {
  let answeredBy: string | undefined;
  const providers = new Map<string, string>();
  const watch = async <T>(candidate: RoleCandidate, run: () => Promise<T>, details: (result: T) => Partial<Asked>) => {
    const model = candidate.model.metadata.name;
    const before = clock.now();
    providers.set(model, candidate.model.spec.provider);
    const asked = (more: Partial<Asked>): void =>
      draft.asked({ model, as: candidate.role ?? 'answer', durationMs: clock.now() - before, ...more });
    try {
      const result = await run();
      asked(details(result));
      answeredBy = model;
      return result;
    } catch (error) {
      asked({ error: error instanceof GatewayError ? error.code : 'InternalError' });
      throw error;
    }
  };
  const measured = ({ model }: Candidate, { parts, usage }: Answer): Partial<Asked> => {
    const price = prices.priceOf(model.spec, clock.now());
    return {
      characters: parts.reduce((sum, part) => sum + lengthOfContent(part), 0),
      ...(usage && { outputTokens: usage.outputTokens, costNanoUsd: price ? costNanoUsd(price, usage) : null }),
    };
  };
  return {
    get answeredBy() {
      return answeredBy;
    },
    providers,
    get left() {
      return attempts.left;
    },
    signal: attempts.signal,
    pause: (ms) => attempts.pause(ms),
    generate: (candidate, request, signal) =>
      watch(
        candidate,
        () => attempts.generate(candidate, request, signal),
        (answer) => measured(candidate, answer),
      ),
    open: (candidate, request) =>
      watch(
        candidate,
        () => attempts.open(candidate, request),
        () => ({}),
      ),
    embed: (candidate) =>
      watch(
        candidate,
        () => attempts.embed(candidate),
        () => ({}),
      ),
  };
}
