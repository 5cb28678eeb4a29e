// One entry of the journal for each call of a step. A step that is begun anew makes its calls again under the same numbers:
// what was answered before is found here, and what is asked twice at the same moment is asked once.
import { CALL_HEADER } from '@kadre/crds';
import type { JournalEntry as StoredEntry, JournalKey, StepClaims, Store } from '@kadre/store';
import { GatewayError, invalidRequest, unavailable } from '../errors.ts';
import type { Clock } from '../options.ts';
import { orAborted } from '../or-aborted.ts';

export type JournalStore = Pick<Store, 'journalEntry' | 'recordJournal'>;

export interface NumberedCall {
  key: JournalKey;
  /** Of all that may change the answer. */
  hash: string;
  kind: StoredEntry['kind'];
  /** Its reason is a GatewayError. */
  signal: AbortSignal;
}

/** `end` is called once, whatever came of the call. */
export type Entry<Answer> =
  { type: 'replay'; answer: Answer } | { type: 'record'; commit(answer: Answer): Promise<void>; end(): void };

/** Throws a GatewayError: a 409 `JournalDiverged`, a 503. */
export type BeginEntry<Answer> = (call: NumberedCall) => Promise<Entry<Answer>>;

export function createEntries<Answer>(store: JournalStore, clock: Clock): BeginEntry<Answer> {
  /** Calls under way through this gateway, and when they end. */
  const underWay = new Map<string, Promise<unknown>>();

  const record = async ({ key, hash, kind }: NumberedCall, answer: Answer): Promise<void> => {
    const first = await store.recordJournal({ ...key, hash, kind, answer, at: clock.now() });
    // Its caller asked again through another gateway, which was faster: both must end with the same answer.
    if (!first) throw unavailable(`Call ${key.call} was answered meanwhile: ask again for its answer.`, '0');
  };

  return async (call) => {
    const { key, hash, signal } = call;
    const name = `${key.run}/${key.step}/${key.attempt}/${key.call}`;
    for (let other = underWay.get(name); other; other = underWay.get(name)) await orAborted(other, signal);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    underWay.set(name, promise);
    const end = (): void => {
      underWay.delete(name);
      resolve(undefined);
    };
    try {
      const entry = await fromJournal(store.journalEntry(key));
      if (!entry) return { type: 'record', commit: (answer) => record(call, answer), end };
      if (entry.hash !== hash) throw diverged(key);
      end();
      return { type: 'replay', answer: entry.answer as Answer };
    } catch (error) {
      end();
      throw error;
    }
  };
}

/** Undefined without a number. Throws a 400 for a number that is none. */
export function journalKey(
  { run, step, attempt }: StepClaims,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): JournalKey | undefined {
  const number = headers[CALL_HEADER];
  return number === undefined ? undefined : { run, step, attempt, call: numberOf(number) };
}

function numberOf(header: string | string[]): number {
  if (typeof header === 'string' && /^[1-9]\d{0,8}$/.test(header)) return Number(header);
  throw invalidRequest(
    `The header ${CALL_HEADER} must be the number of the call among those of the step, from 1.`,
    CALL_HEADER,
  );
}

/** What the store has of the journal. Throws a 503. */
export async function fromJournal<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    throw unavailable('The journal cannot be read just now.', '1', cause);
  }
}

/** Writes the answer down before anybody hears of it. `what`: such as The result. Throws a GatewayError. */
export async function committed<Answer>(
  entry: Extract<Entry<Answer>, { type: 'record' }>,
  answer: Answer,
  what: string,
): Promise<void> {
  try {
    await entry.commit(answer);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw unavailable(`${what} could not be written into the journal, so it is withheld.`, '1', cause);
  }
}

const diverged = ({ step, attempt, call }: JournalKey): GatewayError =>
  new GatewayError(
    409,
    'JournalDiverged',
    `Call ${call} of attempt ${attempt} of step ${step} was made before with another request. A step that is begun anew must ask the same again; retry it as a new attempt.`,
    { retry: false },
  );
