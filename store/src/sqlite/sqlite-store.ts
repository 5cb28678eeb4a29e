// The embedded store: one SQLite file, opened by each thread of the one process that holds its lock.
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { StoreClosedError, UnknownRunError } from '../errors.ts';
import { StaleWriteError } from '../store.ts';
import type {
  JobRecord,
  JobRequest,
  NewEvent,
  RunProjection,
  RunSubmission,
  Store,
  UsageRecord,
  AppendEffects,
} from '../store.ts';
import { storeError } from './failures.ts';
import { GroupCommit, type Touch } from './group-commit.ts';
import { Hints } from './hints.ts';
import { migrate } from './migrations.ts';
import {
  prepareStatements,
  type EventRow,
  type JobRow,
  type ProjectionRow,
  type RunRow,
  type Statements,
  type UsageRow,
} from './statements.ts';

export interface SqliteStoreOptions {
  /** How long a write waits for another thread's, in milliseconds. */
  busyTimeout?: number;
  /** The size beyond which the database does not grow; StoreFullError from there on. Absent: what the disk holds. */
  maxBytes?: number;
}

/**
 * Opens the store, and makes it if it isn't there. Each thread opens its own; `lockStore` keeps other processes out.
 * Throws StoreUnusableError for a file that isn't a store, or is one of a newer Kadre.
 */
export function openSqliteStore(path: string, options: SqliteStoreOptions = {}): Store {
  const db = openDatabase(path, options);
  const statements = prepareStatements(db);
  const hints = new Hints(path);
  const publish = hints.publish.bind(hints);
  const commits = new GroupCommit(db, { path, busyTimeout: options.busyTimeout ?? 30_000, publish });
  // Reads see the last commit: writes happen in one go, between turns.
  const read = <T>(work: () => T): Promise<T> => {
    if (!db.isOpen) return Promise.reject(new StoreClosedError('the store is closed'));
    try {
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(storeError(error, path));
    }
  };
  return {
    ...operatorSide(statements, commits, read),
    ...engineSide(statements, commits, read),
    ...jobs(statements, commits, read),
    ...gatewaySide(statements, commits),
    subscribe: hints.subscribe.bind(hints),
    async close() {
      await commits.close();
      hints.close();
      if (db.isOpen) db.close();
    },
  };
}

type Read = <T>(work: () => T) => Promise<T>;

function operatorSide(sql: Statements, commits: GroupCommit, read: Read) {
  return {
    submitRun: (run: RunSubmission) =>
      commits.run((touch) => {
        const { changes } = sql.insertRun.run(
          run.uid,
          run.namespace,
          run.name,
          run.subject,
          json(run.workflow),
          json(run.input),
        );
        if (changes > 0) touch('submissions', run.uid);
        return changes > 0;
      }),
    cancelRun: (uid: string, message: string) =>
      commits.run((touch) => {
        if (sql.cancelRun.run(message, uid).changes > 0) touch('cancellations', uid);
      }),
    projection: (uid: string) =>
      read((): RunProjection | undefined => {
        const row = sql.projection.get(uid) as ProjectionRow | undefined;
        return row && { ...(JSON.parse(row.body) as Omit<RunProjection, 'version'>), version: row.version };
      }),
  } satisfies Partial<Store>;
}

function engineSide(sql: Statements, commits: GroupCommit, read: Read) {
  return {
    openRuns: () => read(() => (sql.openRuns.all() as { uid: string }[]).map(({ uid }) => uid)),
    submission: (uid: string) =>
      read((): RunSubmission | undefined => {
        const row = sql.run.get(uid) as RunRow | undefined;
        if (!row) return undefined;
        const { namespace, name, subject } = row;
        return { uid, namespace, name, subject, workflow: JSON.parse(row.workflow), input: JSON.parse(row.input) };
      }),
    cancellation: (uid: string) =>
      read(() => (sql.cancellation.get(uid) as { cancellation: string | null } | undefined)?.cancellation ?? undefined),
    events: (uid: string, afterSeq = 0) =>
      read(() =>
        (sql.events.all(uid, afterSeq) as unknown as EventRow[]).map((row) => ({
          ...row,
          data: JSON.parse(row.data) as unknown,
        })),
      ),
    append: (uid: string, expectedSeq: number, events: NewEvent[], effects: AppendEffects = {}) =>
      commits.run((touch) => append(sql, touch, uid, expectedSeq, events, effects)),
    usage: (run: string, step: string, attempt: number) =>
      read(() => {
        const row = sql.usage.get(run, step, attempt) as unknown as UsageRow;
        return {
          inputTokens: row.input_tokens,
          outputTokens: row.output_tokens,
          costNanoUsd: row.cost_nano_usd,
          unpricedCalls: row.unpriced,
        };
      }),
  } satisfies Partial<Store>;
}

function append(
  sql: Statements,
  touch: Touch,
  uid: string,
  expectedSeq: number,
  events: NewEvent[],
  effects: AppendEffects,
): void {
  const run = sql.runHead.get(uid) as Pick<RunRow, 'id' | 'closed' | 'last_seq'> | undefined;
  if (!run) throw new UnknownRunError(`run ${uid} was never submitted`);
  if (run.closed) throw new StaleWriteError(`the log of run ${uid} is closed`);
  if (run.last_seq !== expectedSeq) {
    throw new StaleWriteError(`the log of run ${uid} ends at ${run.last_seq}, not at ${expectedSeq}`);
  }
  let seq = expectedSeq;
  for (const event of events) sql.insertEvent.run(run.id, ++seq, event.at, event.type, json(event.data));
  sql.advanceRun.run(seq, effects.closed ? 1 : 0, run.id);
  for (const job of effects.jobs ?? []) {
    if (sql.insertJob.run(job.key, uid, json(job)).changes > 0) touch('jobs', job.key);
  }
  for (const key of effects.abandon ?? []) if (sql.abandonJob.run(key).changes > 0) touch('jobs', key);
  if (effects.projection && sql.upsertProjection.run(uid, json(effects.projection)).changes > 0)
    touch('projections', uid);
}

function jobs(sql: Statements, commits: GroupCommit, read: Read) {
  return {
    openJobs: () => read(() => (sql.openJobs.all() as unknown as JobRow[]).map(jobRecord)),
    job: (key: string) =>
      read(() => {
        const row = sql.job.get(key) as JobRow | undefined;
        return row && jobRecord(row);
      }),
    jobsOfRun: (uid: string) => read(() => (sql.jobsOfRun.all(uid) as unknown as JobRow[]).map(jobRecord)),
    jobCreated: (key: string, jobUid: string) =>
      commits.run((touch) => {
        if (sql.jobCreated.run(jobUid, key).changes > 0) touch('jobs', key);
      }),
    finishJob: (key: string, outcome: JobRecord['outcome']) =>
      commits.run((touch) => {
        const first = sql.finishJob.run(json(outcome), key).changes > 0;
        if (first) touch('job-outcomes', key);
        return first;
      }),
  } satisfies Partial<Store>;
}

function jobRecord(row: JobRow): JobRecord {
  return {
    ...(JSON.parse(row.request) as JobRequest),
    state: row.state,
    ...(row.uid === null ? {} : { uid: row.uid }),
    ...(row.outcome === null ? {} : { outcome: JSON.parse(row.outcome) as NonNullable<JobRecord['outcome']> }),
    abandoned: row.abandoned === 1,
  };
}

function gatewaySide(sql: Statements, commits: GroupCommit) {
  return {
    recordUsage: ({ run, ...call }: UsageRecord) =>
      commits.run(() => {
        const step = [run?.uid ?? null, run?.step ?? null, run?.attempt ?? null];
        const counts = [call.inputTokens, call.outputTokens, call.costNanoUsd];
        sql.insertUsage.run(call.id, call.at, call.namespace, call.agent, call.model, ...step, ...counts);
      }),
    secret: (name: 'step-token') =>
      commits.run(() => {
        sql.insertSecret.run(name, randomBytes(32));
        return (sql.secret.get(name) as { value: Uint8Array }).value;
      }),
  } satisfies Partial<Store>;
}

/** undefined becomes null: columns hold JSON, and JSON has no undefined. */
function json(value: unknown): string {
  return JSON.stringify(value ?? null);
}

function openDatabase(path: string, options: SqliteStoreOptions): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: options.busyTimeout ?? 30_000 });
    // The file holds the secret that step tokens are signed with. SQLite gives -wal and -shm the same mode.
    chmodSync(path, 0o600);
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    migrate(db);
    if (options.maxBytes !== undefined) limitSize(db, options.maxBytes);
    // From here on the writer waits without blocking the event loop.
    db.exec('PRAGMA busy_timeout = 0');
    return db;
  } catch (error) {
    db?.close();
    throw storeError(error, path);
  }
}

function limitSize(db: DatabaseSync, maxBytes: number): void {
  const { page_size: pageSize } = db.prepare('PRAGMA page_size').get() as { page_size: number };
  db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageSize))}`);
}
