// Appends that come together share one statement, and so one round trip and one fsync. While one batch is on its way
// the next one gathers.
import { UnknownRunError } from '../errors.ts';
import { json, optionalJson } from '../json.ts';
import type { Hint } from '../listeners.ts';
import { FencedError, StaleWriteError, type AppendEffects, type NewEvent, type Topic } from '../store.ts';
import type { Database } from './database.ts';
import { isStoreError } from './failures.ts';

interface Append {
  uid: string;
  expectedSeq: number;
  epoch: number | undefined;
  /** As the server takes it. */
  item: string;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** How much one batch takes, so that no caller waits for an endless one. */
const MOST_APPENDS = 500;
const MOST_CHARACTERS = 4_000_000;
/** What was touched is told once, with the answer; after a lost one, everybody looks. */
const LOST: Hint[] = [
  ['jobs', ''],
  ['approvals', ''],
  ['projections', ''],
  ['queues', ''],
];

export class GroupCommit {
  readonly #db: Database;
  readonly #publish: (hints: Hint[]) => void;
  #queue: Append[] = [];
  #running = false;
  #drained: (() => void)[] = [];

  constructor(db: Database, publish: (hints: Hint[]) => void) {
    this.#db = db;
    this.#publish = publish;
  }

  append(uid: string, expectedSeq: number, events: NewEvent[], effects: AppendEffects): Promise<void> {
    return new Promise((resolve, reject) => {
      const item = itemOf(uid, this.#db.nextCall(), expectedSeq, events, effects);
      this.#queue.push({ uid, expectedSeq, epoch: effects.epoch, item, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      // After everything that the current turn still has to say.
      setImmediate(() => void this.#run());
    });
  }

  /** Resolves when everything that was asked is settled. */
  async drain(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) await this.#write(this.#take());
    this.#running = false;
    for (const drained of this.#drained.splice(0)) drained();
  }

  #take(): Append[] {
    let characters = 0;
    const beyond = this.#queue.findIndex(({ item }, index) => {
      characters += item.length;
      return index === MOST_APPENDS || (index > 0 && characters > MOST_CHARACTERS);
    });
    return this.#queue.splice(0, beyond < 0 ? this.#queue.length : beyond);
  }

  async #write(batch: Append[]): Promise<void> {
    // One order of locks for everybody; appends to the same run keep theirs.
    const ordered = batch.toSorted((a, b) => (a.uid === b.uid ? 0 : a.uid < b.uid ? -1 : 1));
    try {
      const items = `[${ordered.map(({ item }) => item).join(',')}]`;
      const answer = await this.#db.write<{ verdicts: string[]; hints: string[] }>('append', [items]);
      const [{ verdicts, hints } = { verdicts: [], hints: [] }] = answer.rows;
      this.#publish(answer.unsure ? LOST : hints.map(hintOf));
      for (const [index, append] of ordered.entries()) settle(append, verdicts[index] ?? '');
    } catch (error) {
      if (batch.length === 1 || isStoreError(error)) for (const append of batch) append.reject(error);
      // One of them can't be written, and took the others with it.
      else for (const append of ordered) await this.#write([append]);
    }
  }
}

function settle(append: Append, verdict: string): void {
  if (verdict === 'ok') append.resolve();
  else append.reject(refusal(append, verdict));
}

function refusal({ uid, expectedSeq, epoch }: Append, verdict: string): Error {
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

/** PostgreSQL's text can't hold NUL. */
function plain(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

function some<T>(list: T[] | undefined): T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}
