// The history on this machine: a folder for each run, with a store of its own, so that any number of runs can be at work at
// once and none waits for another.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Failure, RunPhase } from '@kadre/crds';
import { lockStore, StoreLockedError, type Fork, type RunSubmission, type StoredEvent } from '@kadre/store';
import { UsageError } from '../errors.ts';
import type { Pinned } from '../run/pin.ts';
import type { Environment } from '../run/secrets.ts';

/** What `run.json` says. */
export interface RunRecord {
  name: string;
  uid: string;
  /** Such as Workflow article. */
  title: string;
  /** When it was asked for; RFC 3339, as the others. */
  createdAt: string;
  finishedAt?: string;
  phase?: RunPhase;
  failure?: Failure;
  costNanoUsd?: number;
  /** With which it can go on. */
  pinned: Pinned;
  /** The `-f` of the command, as absolute paths: Secrets are looked for there again. */
  sources: string[];
  /** Agents that somebody else serves. */
  served: Record<string, string>;
  /** What it takes over from which run. */
  fork?: Fork;
}

/** As the engine takes it. The same each time, so that a run that was cut short before it began can begin. */
export function submissionOf({ uid, name, pinned, fork }: RunRecord): RunSubmission {
  const { namespace, subject, workflow, workflows, input, limits, requestedBy } = pinned;
  return {
    uid,
    namespace,
    name,
    subject,
    workflow,
    workflows,
    input: input ?? null,
    ...(limits && { limits }),
    ...(requestedBy !== undefined && { requestedBy }),
    ...(fork && { fork }),
  };
}

/** What is kept of the log of a run that another one was forked from. */
export interface ForkedLog {
  submission: RunSubmission;
  events: StoredEvent[];
}

export interface RunFolder {
  path: string;
  store: string;
  fork: string;
}

/** Where the history is. `option` is that of the command line. */
export function historyFolder(option: string | undefined, env: Environment): string {
  const chosen = option ?? env['KADRE_STORE'];
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  const state = env['XDG_STATE_HOME'];
  return join(state !== undefined && state !== '' ? state : join(homedir(), '.local', 'state'), 'kadre');
}

function folderOf(history: string, name: string): RunFolder {
  const path = join(history, 'runs', name);
  return { path, store: join(path, 'kadre.db'), fork: join(path, 'fork.json') };
}

/** @throws {UsageError} if there is a run of that name already */
export async function makeFolder(history: string, record: RunRecord, fork?: ForkedLog): Promise<RunFolder> {
  const folder = folderOf(history, record.name);
  // Prompts and answers are nobody else's business.
  await mkdir(join(history, 'runs'), { recursive: true, mode: 0o700 });
  await mkdir(folder.path, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UsageError(
      `there is a run ${record.name} already: choose another --name, or go on with kadre run --resume ${record.name}`,
    );
  });
  // With the record the run is there: what it needs comes before.
  if (fork) await writeFile(folder.fork, JSON.stringify(fork), { mode: 0o600 });
  await writeRecord(folder, record);
  return folder;
}

/** Whole or not at all. */
export async function writeRecord({ path }: RunFolder, record: RunRecord): Promise<void> {
  const temporary = join(path, `run.json.${process.pid}`);
  await writeFile(temporary, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, join(path, 'run.json'));
}

/** @throws {UsageError} naming the latest runs, if there is none of that name */
export async function openFolder(history: string, name: string): Promise<{ folder: RunFolder; record: RunRecord }> {
  const folder = folderOf(history, name);
  const record = /^[a-z0-9.-]+$/.test(name) ? await readRecord(folder) : undefined;
  if (record) return { folder, record };
  const known = (await listRuns(history)).slice(0, 5).map((one) => one.name);
  const hint = known.length === 0 ? 'there are none yet' : `the latest are ${known.join(', ')}`;
  throw new UsageError(`there is no run ${name} in ${history}; ${hint}`);
}

async function readRecord({ path }: RunFolder): Promise<RunRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(path, 'run.json'), 'utf8')) as RunRecord;
  } catch {
    // A folder that was made and never filled, or that is just being removed.
    return undefined;
  }
}

/** The latest first. */
export async function listRuns(history: string): Promise<RunRecord[]> {
  const names = await readdir(join(history, 'runs')).catch(() => []);
  const records = await Promise.all(names.map((name) => readRecord(folderOf(history, name))));
  return records.filter((one) => one !== undefined).sort((one, other) => (one.createdAt < other.createdAt ? 1 : -1));
}

/**
 * Takes the run for this process.
 * @throws {UsageError} while another one is at work on it
 */
export function lockRun(folder: RunFolder, name: string): () => void {
  try {
    return lockStore(folder.store);
  } catch (error) {
    if (!(error instanceof StoreLockedError)) throw error;
    throw new UsageError(`another kadre is at work on the run ${name}: wait for it, or stop it first`);
  }
}

/** Whether a run that is not over is in somebody's hands. */
export function isAtWork(history: string, name: string): boolean {
  try {
    lockStore(folderOf(history, name).store)();
    return false;
  } catch (error) {
    return error instanceof StoreLockedError;
  }
}

/** Forgets the oldest runs that are over, beyond so many. */
export async function forgetRuns(history: string, keep: number): Promise<void> {
  const over = (await listRuns(history)).filter(({ finishedAt }) => finishedAt !== undefined);
  for (const { name } of over.slice(keep)) await rm(folderOf(history, name).path, { recursive: true, force: true });
}

export async function readFork({ fork }: RunFolder): Promise<ForkedLog | undefined> {
  try {
    return JSON.parse(await readFile(fork, 'utf8')) as ForkedLog;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
