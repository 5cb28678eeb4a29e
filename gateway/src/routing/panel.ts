// Several Models that are asked at the same time.
import type { Answer } from '../conversation/answer.ts';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';
import type { Attempts, Candidate } from '../pipeline/hooks.ts';

export interface Member {
  candidate: Candidate;
  /** One of the two, unless it was not waited for. */
  answer?: Answer;
  error?: GatewayError;
  durationMs: number;
}

interface PanelOptions {
  /** How many answers are enough. */
  quorum: number;
  /** Milliseconds to wait for the others from then on. Absent: until they are done. */
  patienceMs?: number;
  clock: Clock;
}

/**
 * Asks all, in their order as far as attempts go. Members that are not waited for are broken off; when this resolves, all
 * that was asked has been settled. Throws what is no failure of a member alone: the call was aborted.
 */
export async function askAll(
  candidates: readonly Candidate[],
  attempts: Attempts,
  { quorum, patienceMs, clock }: PanelOptions,
): Promise<Member[]> {
  const leaving = new AbortController();
  const before = clock.now();
  let cancel = (): void => undefined;
  let [answered, failed] = [0, 0];
  const leave = (why: string): void => leaving.abort(new GatewayError(499, 'Cancelled', why));
  const noteAnswer = (): void => {
    answered += 1;
    if (answered === quorum && patienceMs !== undefined) {
      cancel = clock.after(patienceMs, () => leave('The others have answered, and the route waits no longer.'));
    }
  };
  const noteFailure = (): void => {
    failed += 1;
    if (candidates.length - failed < quorum) leave('Too many others have failed for a quorum.');
  };
  const ask = async (candidate: Candidate): Promise<Member> => {
    try {
      const answer = await attempts.generate(candidate, undefined, leaving.signal);
      noteAnswer();
      return { candidate, answer, durationMs: clock.now() - before };
    } catch (error) {
      if (!leaving.signal.aborted) noteFailure();
      return { candidate, error: asGatewayError(error), durationMs: clock.now() - before };
    }
  };
  const members = await Promise.all(candidates.map(ask));
  cancel();
  attempts.signal.throwIfAborted();
  return members;
}

const asGatewayError = (error: unknown): GatewayError =>
  error instanceof GatewayError
    ? error
    : new GatewayError(500, 'InternalError', 'The gateway failed; its log says why.', { retry: false, cause: error });

/** What the caller is told when too few have answered: worth another try if one of the failures is. */
export function tooFew(route: string, members: readonly Member[], wanted: number): GatewayError {
  const failures = members.flatMap(({ error }) => (error && error.status !== 499 ? [error] : []));
  const worst = failures.find(({ retry }) => retry) ?? failures[0];
  const answered = members.filter(({ answer }) => answer).length;
  const why = members.flatMap(({ candidate, error }) =>
    error ? [`${candidate.model.metadata.name}: ${error.message}`] : [],
  );
  const message = `Route ${route}: ${answered} of ${members.length} Models answered, and ${wanted} must. ${why.join(' ')}`;
  const { status = 503, code = 'ModelUnavailable', retryAfter, retry } = worst ?? {};
  return new GatewayError(status, code, message.slice(0, 2_000), {
    ...(retryAfter !== undefined && { retryAfter }),
    ...(retry !== undefined && { retry }),
    cause: worst,
  });
}
