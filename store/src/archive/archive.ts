// Moves closed runs out of the store into Parquet files, one row for each event and each decision of the gateway:
//
//   date=2026-01-31/kadre-000000000042-1f0c9be23a77.parquet     runs that were closed on that day, in UTC
//   _batches/000000000042.json                                  which runs that file holds, until they are deleted
//
// A run is deleted after its file is durable, and is in one file only, whenever an archiver dies and however many work at
// once.
import { BlobDamagedError, BlobMissingError, utcDay } from '../blobs/blobs.ts';
import type { ObjectStore } from '../blobs/objects.ts';
import type { Decision } from '../decisions.ts';
import type { ClosedRun, RunSubmission, Store, StoredEvent } from '../store.ts';
import { beginBatch, endBatch, lastBatch, type Batch } from './batch-log.ts';
import { checkRecord, parquetOf } from './parquet.ts';
import { recordOfDecision, type DecisionRecord, type Describe } from './record.ts';

export type ArchiveStore = Pick<Store, 'submission' | 'events' | 'decisions' | 'deleteRun'>;

export interface ArchiveOptions {
  sink: ObjectStore;
  describe: Describe;
  /** How much text goes into one file, more or less. 16 MiB; a run is never divided. */
  fileBytes?: number | undefined;
  /** How much text one run may have; one with more stays in the store. 256 MiB, for a file is made in memory. */
  runBytes?: number | undefined;
}

export interface ArchiveReport {
  /** How many runs left the store. */
  runs: number;
  /** Runs that could not be archived and stay in the store. */
  failures: ArchiveFailure[];
}

export interface ArchiveFailure {
  uid: string;
  error: Error;
}

const MIB = 1024 * 1024;
/** So many runs at most go into one file. */
const RUNS_PER_FILE = 10_000;

/**
 * Archives closed runs, the oldest first, and deletes them. Runs that are gone are passed over. First it ends what another
 * call has begun.
 *
 * Throws what the store and the sink throw; called again, it goes on from there.
 */
export async function archiveRuns(
  store: ArchiveStore,
  runs: readonly ClosedRun[],
  options: ArchiveOptions,
): Promise<ArchiveReport> {
  const report: ArchiveReport = { runs: 0, failures: [] };
  let last = await endLastBatch(store, options);
  for (let rest = runs; rest.length > 0;) {
    const draft = await gather(store, rest, options);
    if (draft.uids.length > 0) {
      const file = parquetOf(draft.records);
      const batch = await beginBatch(options.sink, last + 1, draft.day, draft.uids);
      // What was read may be in somebody else's batch by now.
      if (batch) await end(store, options.sink, last + 1, batch, file);
      last = await endLastBatch(store, options);
      if (!batch) continue;
    }
    report.runs += draft.uids.length;
    report.failures.push(...draft.failures);
    rest = rest.slice(draft.taken);
  }
  return report;
}

async function endLastBatch(store: ArchiveStore, options: ArchiveOptions): Promise<number> {
  const { number, batch } = await lastBatch(options.sink);
  if (!batch || batch.runs.length === 0) return number;
  await end(store, options.sink, number, batch, await unwritten(store, batch, options));
  return number;
}

/** What has to be written yet: nothing if the file is there, or if all its runs are gone. */
async function unwritten(store: ArchiveStore, batch: Batch, options: ArchiveOptions): Promise<Uint8Array | undefined> {
  if (await options.sink.has(batch.file)) return undefined;
  const records: DecisionRecord[] = [];
  for (const uid of batch.runs) for (const record of await recordsOf(store, uid, options)) records.push(record);
  return records.length === 0 ? undefined : parquetOf(records);
}

/** Whoever else ends the same batch does the same things: the first to write the file wins, and its content stays. */
async function end(
  store: ArchiveStore,
  sink: ObjectStore,
  number: number,
  batch: Batch,
  file: Uint8Array | undefined,
): Promise<void> {
  if (file) await sink.create(batch.file, file);
  for (const uid of batch.runs) await store.deleteRun(uid);
  await endBatch(sink, number, batch);
}

interface Draft {
  day: string;
  uids: string[];
  records: DecisionRecord[];
  failures: ArchiveFailure[];
  /** How many of the runs were looked at. */
  taken: number;
}

/** The first runs that were closed on one day, as many as fit into a file. */
async function gather(store: ArchiveStore, runs: readonly ClosedRun[], options: ArchiveOptions): Promise<Draft> {
  const { fileBytes = 16 * MIB } = options;
  const draft: Draft = { day: utcDay(runs[0]?.closedAt ?? 0), uids: [], records: [], failures: [], taken: 0 };
  let bytes = 0;
  for (const { uid, closedAt } of runs) {
    if (utcDay(closedAt) !== draft.day || draft.uids.length === RUNS_PER_FILE || bytes > fileBytes) break;
    draft.taken++;
    try {
      const records = await recordsOf(store, uid, options);
      if (records.length === 0) continue;
      draft.uids.push(uid);
      for (const record of records) {
        draft.records.push(record);
        bytes += sizeOf(record);
      }
    } catch (error) {
      if (!(error instanceof UnreadableRunError)) throw error;
      draft.failures.push({ uid, error });
    }
  }
  return draft;
}

/** The fault is the run's and not the store's. */
class UnreadableRunError extends Error {
  override name = 'UnreadableRunError';

  constructor(uid: string, cause: unknown) {
    super(`run ${uid} cannot be archived: ${messageOf(cause)}`, { cause });
  }
}

/** None for a run that is gone. Throws UnreadableRunError. */
async function recordsOf(
  store: ArchiveStore,
  uid: string,
  { describe, runBytes = 256 * MIB }: ArchiveOptions,
): Promise<DecisionRecord[]> {
  const [submission, events, decisions] = await historyOf(store, uid);
  if (submission === undefined) return [];
  let bytes = 0;
  try {
    const checked = (record: DecisionRecord): DecisionRecord => {
      bytes += sizeOf(checkRecord(record));
      if (bytes > runBytes) throw new RangeError(`its records have more than ${runBytes} characters of text`);
      return record;
    };
    const ofEngine = events.map((event) => checked(describe(submission, event)));
    // Whoever describes the events knows Kadre's version.
    const version = ofEngine.at(-1)?.version ?? '';
    return [...ofEngine, ...decisions.map((one) => checked(recordOfDecision(submission, one, version)))];
  } catch (error) {
    throw new UnreadableRunError(uid, error);
  }
}

type History = [RunSubmission | undefined, StoredEvent[], Decision[]];

async function historyOf(store: ArchiveStore, uid: string): Promise<History> {
  try {
    const decisions = await store.decisions({ run: uid, limit: Number.MAX_SAFE_INTEGER });
    return [await store.submission(uid), await store.events(uid), decisions.toReversed()];
  } catch (error) {
    if (!(error instanceof BlobMissingError || error instanceof BlobDamagedError)) throw error;
    throw new UnreadableRunError(uid, error);
  }
}

function sizeOf({ data, what, why = '' }: DecisionRecord): number {
  return data.length + what.length + why.length;
}

function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
