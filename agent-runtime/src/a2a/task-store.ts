// The tasks of this process: found by id and by message, bounded in number, age and size.
import { createHash, randomUUID } from 'node:crypto';
import { a2aError, internalError, invalidParams } from './errors.ts';
import { Task } from './task.ts';
import type { IncomingMessage, ListParams, WireTask } from './wire.ts';

export interface TaskLimits {
  maxTasks: number;
  /** Milliseconds for which a task that is over can still be fetched. */
  maxAgeMs: number;
  /** Characters of messages and outputs that tasks that are over may hold together. */
  maxRetained: number;
}

export interface TaskPage {
  tasks: WireTask[];
  nextPageToken: string;
  pageSize: number;
  totalSize: number;
}

interface Entry {
  task: Task;
  messageId: string;
  digest: string;
  size: number;
  /** Order of creation, to sort tasks of the same millisecond. */
  sequence: number;
}

const DEFAULT_PAGE_SIZE = 50;

export class TaskStore {
  readonly #limits: TaskLimits;
  readonly #metadata: () => Record<string, unknown>;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #byMessage = new Map<string, Entry>();
  /** Those that are over, oldest first. */
  readonly #finished = new Map<string, Entry>();
  #retained = 0;
  #sequence = 0;

  constructor(limits: TaskLimits, metadata: () => Record<string, unknown>, now: () => number = Date.now) {
    this.#limits = limits;
    this.#metadata = metadata;
    this.#now = now;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How many there have been, forgotten ones included. */
  get started(): number {
    return this.#sequence;
  }

  /** The task of this message: the one that it started before, or a new one for which `begin` is called. */
  startOnce(message: IncomingMessage, begin: (task: Task) => void): Task {
    this.#forgetOld();
    const content = JSON.stringify([message.contextId ?? '', message.parts]);
    const digest = createHash('sha256').update(content).digest('base64');
    const known = this.#byMessage.get(message.messageId);
    if (known !== undefined) return sameMessage(known, digest);
    this.#makeRoom();
    const task = new Task({
      id: randomUUID(),
      message,
      contextId: message.contextId || randomUUID(),
      metadata: this.#metadata(),
      now: this.#now,
    });
    begin(task);
    const entry = { task, messageId: message.messageId, digest, size: content.length, sequence: (this.#sequence += 1) };
    this.#entries.set(task.id, entry);
    this.#byMessage.set(message.messageId, entry);
    void task.finished.then(() => this.#retain(entry));
    return task;
  }

  /** @throws {RpcError} TASK_NOT_FOUND */
  get(id: string): Task {
    this.#forgetOld();
    const entry = this.#entries.get(id);
    if (entry === undefined)
      throw a2aError('TASK_NOT_FOUND', 'There is no such task; it may have been forgotten since.', { taskId: id });
    return entry.task;
  }

  /** Latest change first. */
  list(params: ListParams): TaskPage {
    this.#forgetOld();
    const pageSize = params.pageSize ?? DEFAULT_PAGE_SIZE;
    const matching = [...this.#entries.values()].filter((entry) => matches(entry.task, params)).sort(latestFirst);
    const start = params.pageToken ? after(params.pageToken, matching) : 0;
    const page = matching.slice(start, start + pageSize);
    const last = page.at(-1);
    const options = { historyLength: params.historyLength, artifacts: params.includeArtifacts === true };
    return {
      tasks: page.map(({ task }) => task.snapshot(options)),
      nextPageToken: last !== undefined && start + pageSize < matching.length ? pageToken(last) : '',
      pageSize,
      totalSize: matching.length,
    };
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#limits.maxTasks) return;
    const [oldest] = this.#finished.values();
    if (oldest !== undefined) this.#forget(oldest);
    else
      throw internalError(
        'AgentUnavailable',
        `The agent holds ${this.#entries.size} unfinished tasks, which is its limit; try again later.`,
      );
  }

  #retain(entry: Entry): void {
    entry.size += entry.task.outputSize;
    this.#retained += entry.size;
    this.#finished.set(entry.task.id, entry);
    // The newest stays whatever its size, so that its caller can fetch it.
    for (const oldest of this.#finished.values()) {
      if (this.#retained <= this.#limits.maxRetained || oldest === entry) return;
      this.#forget(oldest);
    }
  }

  #forgetOld(): void {
    const horizon = this.#now() - this.#limits.maxAgeMs;
    for (const oldest of this.#finished.values()) {
      if (oldest.task.updatedAt >= horizon) return;
      this.#forget(oldest);
    }
  }

  #forget(entry: Entry): void {
    this.#retained -= entry.size;
    this.#finished.delete(entry.task.id);
    this.#entries.delete(entry.task.id);
    this.#byMessage.delete(entry.messageId);
  }
}

/** Two callers that happen on the same id for different messages must not see each other's answers. */
function sameMessage({ task, digest }: Entry, given: string): Task {
  if (digest === given) return task;
  throw invalidParams([
    { field: 'message.messageId', description: 'belongs to an earlier message with another content; use a new id' },
  ]);
}

function matches(task: Task, { contextId, status, statusTimestampAfter }: ListParams): boolean {
  if (contextId && task.contextId !== contextId) return false;
  if (status && status !== 'TASK_STATE_UNSPECIFIED' && task.state !== status) return false;
  return !statusTimestampAfter || task.updatedAt >= Date.parse(statusTimestampAfter);
}

function latestFirst(a: Entry, b: Entry): number {
  return b.task.updatedAt - a.task.updatedAt || b.sequence - a.sequence;
}

function pageToken({ task, sequence }: Entry): string {
  return `${task.updatedAt}.${sequence}`;
}

/** Where the next page begins, even if the task at the end of the last page has changed or is gone. */
function after(token: string, sorted: Entry[]): number {
  const [, time, sequence] = /^(\d+)\.(\d+)$/.exec(token) ?? [];
  if (time === undefined)
    throw invalidParams([{ field: 'pageToken', description: 'is not a token of an earlier page' }]);
  const next = sorted.findIndex(
    ({ task, sequence: own }) =>
      task.updatedAt < Number(time) || (task.updatedAt === Number(time) && own < Number(sequence)),
  );
  return next === -1 ? sorted.length : next;
}
