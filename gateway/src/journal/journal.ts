// What models have answered the calls of steps. A step that is begun anew, because its pod or its engine died, makes its
// calls again under the same numbers, and is given what it was given before: nothing is asked, and nothing is paid, twice.
import { CALL_HEADER } from '@kadre/crds';
import type { JournalEntry as StoredEntry, JournalKey, Store } from '@kadre/store';
import { GatewayError, invalidRequest, unavailable } from '../errors.ts';
import type { Clock } from '../options.ts';
import type { Call } from '../pipeline/call.ts';
import type { Journal, JournalEntry } from '../pipeline/hooks.ts';
import { given, kept, type KeptAnswer } from './answered.ts';
import { hashOf } from './hash.ts';

type JournalStore = Pick<Store, 'journalEntry' | 'recordJournal'>;

const OFF: JournalEntry = { type: 'off' };

export function createJournal(store: JournalStore, clock: Clock): Journal {
  /** Calls under way through this gateway, and when they end. */
  const underWay = new Map<string, Promise<unknown>>();

  const begin = async (call: Call, key: JournalKey): Promise<JournalEntry> => {
    const hash = hashOf(call);
    const name = `${key.run}/${key.step}/${key.attempt}/${key.call}`;
    for (let other = underWay.get(name); other; other = underWay.get(name)) await ended(other, call.signal);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    underWay.set(name, promise);
    const end = (): void => {
      underWay.delete(name);
      resolve(undefined);
    };
    try {
      const entry = await read(store, key);
      if (!entry) return { type: 'record', commit: (answered) => record(key, hash, kept(answered)), end };
      if (entry.hash !== hash) throw diverged(key);
      end();
      return { type: 'replay', answered: given(entry.answer as KeptAnswer) };
    } catch (error) {
      end();
      throw error;
    }
  };

  const record = async (key: JournalKey, hash: string, answer: KeptAnswer): Promise<void> => {
    const first = await store.recordJournal({ ...key, hash, kind: 'model', answer, at: clock.now() });
    // Its caller asked again through another gateway, which was faster: both must end with the same answer.
    if (!first) throw unavailable(`Call ${key.call} was answered meanwhile: ask again for its answer.`, '0');
  };

  return {
    begin: (call) => {
      const { step } = call.caller;
      const number = call.headers[CALL_HEADER];
      if (!step || number === undefined) return OFF;
      const { run, attempt } = step;
      return begin(call, { run, step: step.step, attempt, call: numberOf(number) });
    },
  };
}

function numberOf(header: string | string[]): number {
  if (typeof header === 'string' && /^[1-9]\d{0,8}$/.test(header)) return Number(header);
  throw invalidRequest(
    `The header ${CALL_HEADER} must be the number of the call among those of the step, from 1.`,
    CALL_HEADER,
  );
}

async function read(store: JournalStore, key: JournalKey): Promise<StoredEntry | undefined> {
  try {
    return await store.journalEntry(key);
  } catch (cause) {
    throw unavailable('The journal cannot be read just now.', '1', cause);
  }
}

/** Resolves when the other call is over; rejects when the signal aborts before. */
async function ended(other: Promise<unknown>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([other, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

const diverged = ({ step, attempt, call }: JournalKey): GatewayError =>
  new GatewayError(
    409,
    'JournalDiverged',
    `Call ${call} of attempt ${attempt} of step ${step} was made before with another request. A step that is begun anew must ask the same again; retry it as a new attempt.`,
    { retry: false },
  );
