// A store whose large values lie beside the database: in rows there are references. Whoever reads and writes notices
// nothing of it.
import type { StepOutcome } from '@kadre/crds';
import type { JournalEntry } from '../journal.ts';
import type { AppendEffects, JobRecord, JobRequest, NewEvent, RunSubmission, Store } from '../store.ts';
import { utcDay, type BlobRef, type Blobs } from './blobs.ts';
import { payloadsIn, referenceIn } from './payloads.ts';

export interface OffloadOptions {
  /** Values whose JSON has more bytes become blobs. 128 KiB. */
  inlineBytes?: number;
  /** How much of what was read is kept in memory. 16 MiB. */
  cacheBytes?: number;
}

/**
 * Keeps what is large in workflows, inputs, events, jobs and their outcomes, and the journal, as blobs that the run owns; a blob is durable
 * before the row that refers to it. All who share a database must share the blobs as well.
 *
 * Beyond what the store itself throws, reading throws BlobMissingError and BlobDamagedError.
 */
export function withBlobs(store: Store, blobs: Blobs, options: OffloadOptions = {}): Store {
  const { inlineBytes = 128 * 1024, cacheBytes = 16 * 1024 * 1024 } = options;
  const payloads = payloadsIn(blobs, { inlineBytes, cacheBytes });
  const stored = (owner: string): Visit => payloads.store.bind(undefined, owner) as Visit;
  const loaded = (owner: string): Visit => payloads.load.bind(undefined, owner) as Visit;
  const loadedJob = (job: JobRecord): Promise<JobRecord> => visitJob(job, loaded(job.run.uid));
  const turns = new Turns();
  return {
    ...store,
    submitRun: (run) =>
      turns.take(
        run.uid,
        () => visitSubmission(run, stored(run.uid)),
        (small) => store.submitRun(small),
      ),
    submission: async (uid) => {
      const run = await store.submission(uid);
      return run && (await visitSubmission(run, loaded(uid)));
    },
    events: async (uid, afterSeq) => await each(await store.events(uid, afterSeq), visitEvent, loaded(uid)),
    append: (uid, expectedSeq, events, effects) =>
      turns.take(
        uid,
        () => visitAppended(events, effects, stored(uid)),
        (small) => store.append(uid, expectedSeq, ...small),
      ),
    openJobs: async () => await Promise.all((await store.openJobs()).map(loadedJob)),
    jobsOfRun: async (uid) => await Promise.all((await store.jobsOfRun(uid)).map(loadedJob)),
    job: async (key) => {
      const job = await store.job(key);
      return job && (await loadedJob(job));
    },
    finishJob: (key, outcome) =>
      turns.take(
        runOf(key),
        () => visitOutcome(outcome, stored(runOf(key))),
        (small) => store.finishJob(key, small),
      ),
    journalEntry: async (key) => {
      const entry = await store.journalEntry(key);
      return entry && (await visitEntry(entry, loaded(key.run)));
    },
    journalOf: async (run, attempt) => await each(await store.journalOf(run, attempt), visitEntry, loaded(run)),
    recordJournal: (entry) =>
      turns.take(
        entry.run,
        () => visitEntry(entry, stored(entry.run)),
        (small) => store.recordJournal(small),
      ),
    deleteRun: async (uid) => {
      await store.deleteRun(uid);
      // A run that is still open was left alone.
      if ((await store.submission(uid)) === undefined) await deleteAll(blobs, uid);
    },
    close: async () => {
      await turns.end();
      await store.close();
    },
  };
}

/** Blobs take their time; still the writes of a run reach the store in the order in which they were asked for. */
class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  async take<S, T>(run: string, prepare: () => Promise<S>, write: (prepared: S) => Promise<T>): Promise<T> {
    const before = this.#last.get(run);
    const prepared = prepare();
    // The next one need not wait until this write is safe, only until the store has been asked.
    const asked = Promise.allSettled([before, prepared]).then(async () => ({ answer: write(await prepared) }));
    const turn = asked.catch(() => undefined);
    this.#last.set(run, turn);
    void turn.then(() => this.#last.get(run) === turn && this.#last.delete(run));
    return await (
      await asked
    ).answer;
  }

  /** Resolves once the store has been asked for all that was wanted. */
  async end(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}

const DAY_MS = 86_400_000;

/**
 * Deletes blobs to which no row refers: those of runs that are gone, and those whose row was never written. Returns how
 * many. A blob younger than `graceDays`, two unless given, may still get its row, and is left alone.
 *
 * @param store the store itself, not what `withBlobs` made of it
 * @param now milliseconds since 1970
 */
export async function collectBlobs(store: Store, blobs: Blobs, now: number, graceDays = 2): Promise<number> {
  const today = utcDay(now - graceDays * DAY_MS);
  const old = new Map<string, BlobRef[]>();
  for await (const { owner, ref } of blobs.list()) {
    if (ref.day < today) old.set(owner, [...(old.get(owner) ?? []), ref]);
  }
  let deleted = 0;
  for (const [owner, refs] of old) {
    const named = await referencesOf(store, owner);
    for (const ref of refs.filter((candidate) => !named.has(identity(candidate)))) {
      await blobs.delete(owner, ref);
      deleted++;
    }
  }
  return deleted;
}

/** What is large in the rows of one run. */
async function referencesOf(store: Store, uid: string): Promise<Set<string>> {
  const found = new Set<string>();
  const note: Visit = (value) => {
    const ref = referenceIn(value);
    if (ref) found.add(identity(ref));
    return Promise.resolve(value);
  };
  const run = await store.submission(uid);
  if (run) await visitSubmission(run, note);
  await each(await store.events(uid), visitEvent, note);
  await each(await store.jobsOfRun(uid), visitJob, note);
  await each(await store.journalOf(uid), visitEntry, note);
  return found;
}

const identity = ({ day, sha256 }: BlobRef): string => `${day}-${sha256}`;

async function deleteAll(blobs: Blobs, owner: string): Promise<void> {
  for await (const { ref } of blobs.list(owner)) await blobs.delete(owner, ref);
}

/** What is done with each value that may be large, in both directions. */
type Visit = <T>(value: T) => Promise<T>;

function each<T>(rows: readonly T[], visitRow: (row: T, visit: Visit) => Promise<T>, visit: Visit): Promise<T[]> {
  return Promise.all(rows.map((row) => visitRow(row, visit)));
}

async function visitSubmission(run: RunSubmission, visit: Visit): Promise<RunSubmission> {
  const workflows = run.workflows && { workflows: await visit(run.workflows) };
  return { ...run, workflow: await visit(run.workflow), ...workflows, input: await visit(run.input) };
}

async function visitAppended(
  events: NewEvent[],
  effects: AppendEffects | undefined,
  visit: Visit,
): Promise<[NewEvent[], AppendEffects?]> {
  const small = await each(events, visitEvent, visit);
  if (!effects?.jobs) return effects ? [small, effects] : [small];
  return [small, { ...effects, jobs: await each(effects.jobs, visitRequest, visit) }];
}

async function visitEvent<T extends NewEvent>(event: T, visit: Visit): Promise<T> {
  return { ...event, data: await visit(event.data) };
}

// The step token stays in the row: blobs may be kept where more people can read them.
async function visitRequest<T extends JobRequest>(job: T, visit: Visit): Promise<T> {
  const { work } = job;
  if ('container' in work) return { ...job, work: { container: await visit(work.container) } };
  return { ...job, work: { agent: { ...work.agent, payload: await visit(work.agent.payload) } } };
}

async function visitJob(job: JobRecord, visit: Visit): Promise<JobRecord> {
  const request = await visitRequest(job, visit);
  return job.outcome === undefined ? request : { ...request, outcome: await visitOutcome(job.outcome, visit) };
}

async function visitOutcome(outcome: StepOutcome, visit: Visit): Promise<StepOutcome> {
  return 'output' in outcome ? { ...outcome, output: await visit(outcome.output) } : outcome;
}

async function visitEntry(entry: JournalEntry, visit: Visit): Promise<JournalEntry> {
  return { ...entry, answer: await visit(entry.answer) };
}

/** A job's key begins with its run's UID. */
function runOf(key: string): string {
  return key.split('/', 1)[0] ?? key;
}
