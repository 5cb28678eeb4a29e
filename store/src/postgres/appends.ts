// Appends to the logs of runs, of which many share one commit.
import { UnknownRunError } from '../errors.ts';
import { json, optionalJson } from '../json.ts';
import type { Hint } from '../listeners.ts';
import { FencedError, StaleWriteError, type AppendEffects, type NewEvent, type Topic } from '../store.ts';
import { Batches, plain } from './batches.ts';
import type { Database } from './database.ts';

/** What was touched is told once, with the answer; after a lost one, everybody looks. */
const LOST: Hint[] = [
  ['jobs', ''],
  ['approvals', ''],
  ['projections', ''],
  ['queues', ''],
];

export class Appends {
  readonly #db: Database;
  readonly #batches: Batches;

  constructor(db: Database, publish: (hints: Hint[]) => void) {
    this.#db = db;
    this.#batches = new Batches(db, 'append', ({ rows, unsure }) =>
      publish(unsure ? LOST : (rows[0]?.hints ?? []).map(hintOf)),
    );
  }

  async append(uid: string, expectedSeq: number, events: NewEvent[], effects: AppendEffects): Promise<void> {
    const item = itemOf(uid, this.#db.nextCall(), expectedSeq, events, effects);
    const verdict = await this.#batches.write(uid, item);
    if (verdict !== 'ok') throw refusal(uid, expectedSeq, effects.epoch, verdict);
  }

  drain(): Promise<void> {
    return this.#batches.drain();
  }
}

function refusal(uid: string, expectedSeq: number, epoch: number | undefined, verdict: string): Error {
  const [kind, detail = ''] = verdict.split(':');
  if (kind === 'unknown') return new UnknownRunError(`run ${uid} was never submitted`);
  if (kind === 'closed') return new StaleWriteError(`the log of run ${uid} is closed`);
  if (kind === 'stale') return new StaleWriteError(`the log of run ${uid} ends at ${detail}, not at ${expectedSeq}`);
  const owner = detail === '' ? 'no engine' : `engine ${detail}`;
  const writer = epoch === undefined ? 'a writer without a seat' : `engine ${epoch}`;
  return new FencedError(`run ${uid} belongs to ${owner}, not to ${writer}`);
}

function hintOf(text: string): Hint {
  const colon = text.indexOf(':');
  return [text.slice(0, colon) as Topic, text.slice(colon + 1)];
}

function itemOf(uid: string, call: string, expectedSeq: number, events: NewEvent[], effects: AppendEffects): string {
  const { projection, jobs, abandon, approvals, withdraw, cache, closed, epoch } = effects;
  return JSON.stringify({
    uid: plain(uid),
    call,
    expected: expectedSeq,
    epoch,
    closed_at: closed ? (events.at(-1)?.at ?? Date.now()) : undefined,
    projection: optionalJson(projection),
    events: events.map(({ at, type, data }) => ({ at, type: plain(type), data: json(data) })),
    jobs: some(jobs)?.map((job) => ({ key: plain(job.key), request: json(job) })),
    abandon: some(abandon)?.map(plain),
    approvals: some(approvals)?.map((approval) => ({ key: plain(approval.key), request: json(approval) })),
    withdraw: some(withdraw)?.map(plain),
    cache: some(cache)?.map(({ key, output, run, expiresAt }) => ({
      key: plain(key),
      output: json(output),
      run: plain(run),
      expires_at: expiresAt,
    })),
  });
}

function some<T>(list: T[] | undefined): T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}
