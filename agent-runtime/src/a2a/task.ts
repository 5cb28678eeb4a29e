// One A2A task: its state, its artifact as it grows, and who listens.
import { a2aMetadata, type Citation } from '@kadre/crds';
import type { TokenUsage } from '../agent/chat.ts';
import type { AgentFailure } from '../failure.ts';
import type {
  Artifact,
  IncomingMessage,
  Part,
  StreamResponse,
  TaskState,
  TaskStatus,
  WireMessage,
  WireTask,
} from './wire.ts';

export interface TaskOptions {
  id: string;
  message: IncomingMessage;
  contextId: string;
  metadata: Record<string, unknown>;
  now: () => number;
}

export interface SnapshotOptions {
  historyLength?: number | null | undefined;
  artifacts: boolean;
}

export type TaskListener = (event: StreamResponse) => void;

const ARTIFACT = { artifactId: 'output', name: 'output' };
const terminal: readonly TaskState[] = ['TASK_STATE_COMPLETED', 'TASK_STATE_FAILED', 'TASK_STATE_CANCELED'];

/** Once it is over, it never changes again. */
export class Task {
  readonly id: string;
  readonly contextId: string;
  /** Resolves when the task is over, or lost. */
  readonly finished: Promise<void>;
  readonly #options: TaskOptions;
  readonly #history: WireMessage;
  readonly #listeners = new Set<TaskListener>();
  #resolveFinished!: () => void;
  #status: TaskStatus;
  #updatedAt: number;
  #text: string[] = [];
  #data: Part | undefined;
  #pending = '';
  #citations: Record<string, unknown> | undefined;
  #flush: NodeJS.Immediate | undefined;
  #lost = false;
  #usage: Record<string, unknown> | undefined;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.id = options.id;
    this.contextId = options.contextId;
    this.finished = new Promise((resolve) => (this.#resolveFinished = resolve));
    this.#history = remembered(options);
    this.#updatedAt = options.now();
    this.#status = this.#statusNow('TASK_STATE_WORKING');
  }

  get state(): TaskState {
    return this.#status.state;
  }

  get over(): boolean {
    return terminal.includes(this.state);
  }

  /** The process ends before the task does. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Milliseconds since 1970. */
  get updatedAt(): number {
    return this.#updatedAt;
  }

  /** Characters of output held in memory. */
  get outputSize(): number {
    if (this.#data !== undefined && 'data' in this.#data) return JSON.stringify(this.#data.data).length;
    return this.#text.reduce((size, piece) => size + piece.length, 0);
  }

  snapshot({ historyLength, artifacts }: SnapshotOptions): WireTask {
    const parts = this.#outputParts();
    return {
      id: this.id,
      contextId: this.contextId,
      status: this.#status,
      ...(artifacts ? { artifacts: parts.length === 0 ? [] : [this.#artifact(parts)] } : {}),
      ...(historyLength === 0 ? {} : { history: [this.#history] }),
      metadata: { ...this.#options.metadata, ...this.#usage },
    };
  }

  /** The listener hears everything that the snapshot of this moment does not hold yet. */
  subscribe(listener: TaskListener): () => void {
    this.#emitPending(false);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Deltas of one turn of the event loop travel together. */
  append(delta: string): void {
    if (this.over) return;
    this.#pending += delta;
    this.#flush ??= setImmediate(() => this.#emitPending(false));
  }

  /** The text so far is void. The next piece replaces it: a first chunk with `append: false` does that in A2A. */
  startOver(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    this.#pending = '';
    this.#text = [];
  }

  /** Tells listeners what the agent does, beside what it writes. */
  tell(metadata: Record<string, unknown>): void {
    if (this.over) return;
    this.#emitPending(false);
    this.#emit({ statusUpdate: { taskId: this.id, contextId: this.contextId, status: this.#status, metadata } });
  }

  /** Until people have decided these Approvals; none: it goes on. */
  waitForPeople(approvals: readonly string[]): void {
    if (this.over) return;
    this.#emitPending(false);
    const text = `Waits for people to decide ${approvals.map((name) => `Approval ${name}`).join(' and ')}.`;
    this.#status =
      approvals.length === 0
        ? this.#statusNow('TASK_STATE_WORKING')
        : this.#statusNow(
            'TASK_STATE_INPUT_REQUIRED',
            this.#say('waits', text, { [a2aMetadata.approvals]: approvals }),
          );
    this.#emit({ statusUpdate: { taskId: this.id, contextId: this.contextId, status: this.#status } });
  }

  /** JSON output becomes a data part; text has been appended already. */
  complete(output: { data: unknown } | 'appended', usage: TokenUsage, citations: readonly Citation[] = []): void {
    if (this.over) return;
    if (citations.length > 0) this.#citations = { metadata: { [a2aMetadata.citations]: citations } };
    this.#usage = { [a2aMetadata.usage]: usage };
    if (output === 'appended') this.#emitPending(true);
    else {
      this.#data = { data: output.data, mediaType: 'application/json' };
      this.#emitArtifact(this.#artifact([this.#data]), false, true);
    }
    this.#end('TASK_STATE_COMPLETED');
  }

  fail({ reason, message }: AgentFailure): void {
    if (this.over) return;
    this.#emitPending(false);
    this.#end('TASK_STATE_FAILED', this.#say('failure', message, { [a2aMetadata.reason]: reason }));
  }

  cancel(): void {
    if (this.over) return;
    this.#emitPending(false);
    this.#end('TASK_STATE_CANCELED');
  }

  /**
   * Gives the task up without an end, as if the process had been killed: whoever listens loses the connection and sends
   * the message again, which another replica then takes. A failed task would be final instead.
   */
  lose(): void {
    if (this.over) return;
    this.#lost = true;
    this.#resolveFinished();
  }

  #end(state: TaskState, message?: WireMessage): void {
    this.#status = this.#statusNow(state, message);
    const told = { taskId: this.id, contextId: this.contextId, status: this.#status };
    this.#emit({ statusUpdate: { ...told, ...(this.#usage && { metadata: this.#usage }) } });
    this.#listeners.clear();
    this.#resolveFinished();
  }

  #say(what: string, text: string, metadata: Record<string, unknown>): WireMessage {
    const { id, contextId } = this;
    const messageId = `${id}-${what}`;
    return { messageId, contextId, taskId: id, role: 'ROLE_AGENT', parts: [{ text }], metadata };
  }

  #statusNow(state: TaskState, message?: WireMessage): TaskStatus {
    this.#updatedAt = this.#options.now();
    return { state, ...(message === undefined ? {} : { message }), timestamp: new Date(this.#updatedAt).toISOString() };
  }

  #outputParts(): Part[] {
    if (this.#data !== undefined) return [this.#data];
    return this.#text.length === 0 ? [] : [{ text: this.#text.join('') }];
  }

  /** The last chunk may be empty: only the end of the model's stream tells that the one before was the last. */
  #emitPending(lastChunk: boolean): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#pending === '' && !lastChunk) return;
    const text = this.#pending;
    const append = this.#text.length > 0;
    this.#pending = '';
    this.#text.push(text);
    this.#emitArtifact(this.#artifact([{ text }]), append, lastChunk);
  }

  /** With its last chunk it is known what the answer rests on. */
  #artifact(parts: Part[]): Artifact {
    return { ...ARTIFACT, parts, ...this.#citations };
  }

  #emitArtifact(artifact: Artifact, append: boolean, lastChunk: boolean): void {
    this.#emit({ artifactUpdate: { taskId: this.id, contextId: this.contextId, artifact, append, lastChunk } });
  }

  #emit(event: StreamResponse): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** The caller's message as history shows it. The step token is for the gateway alone, so it is not kept. */
function remembered({ message, id, contextId }: TaskOptions): WireMessage {
  const metadata = { ...message.metadata };
  Reflect.deleteProperty(metadata, a2aMetadata.stepToken);
  return {
    messageId: message.messageId,
    contextId,
    taskId: id,
    role: message.role,
    parts: message.parts,
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
  };
}
