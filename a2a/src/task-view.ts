// One task as its events tell it.
import {
  a2aMetadata,
  citation,
  delegation,
  failureReasons,
  type Citation,
  type Delegation,
  type Failure,
  type FailureReason,
} from '@kadre/crds';
import { createHash } from 'node:crypto';
import type { StreamResponse, WireMessage, WirePart, WireStatus, WireTask } from './wire.ts';

export type Json = null | boolean | number | string | Json[] | { [field: string]: Json };

/** How a task ended. 'stopped': somebody called it off, or its agent gave it up. */
export type TaskOutcome = { output: Json; bytes: number; citations?: Citation[] } | { failure: Failure } | 'stopped';

/** The largest output of a task, in bytes of JSON. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
const MAX_MESSAGE_CHARACTERS = 4096;
const MOST_CITATIONS = 256;

/** What an agent wants to know before it goes on. */
export interface Question {
  /** The same whenever the agent tells of it. */
  id: string;
  text: string;
}

export class TaskView {
  taskId: string | undefined;
  contextId: string | undefined;
  instance: string | undefined;
  #status: WireStatus | undefined;
  #message: WireMessage | undefined;
  #artifacts = new Map<string, WirePart[]>();
  #delegations: Delegation[] = [];
  #citations: Citation[] = [];

  apply({ task, message, statusUpdate, artifactUpdate }: StreamResponse): void {
    if (task) this.replace(task);
    if (message) this.#message = message;
    if (statusUpdate) {
      this.taskId ??= statusUpdate.taskId;
      if (statusUpdate.status) this.#status = statusUpdate.status;
      const handed = delegation.safeParse(statusUpdate.metadata?.[a2aMetadata.delegation]);
      if (handed.success) this.#delegations.push(handed.data);
    }
    if (!artifactUpdate?.artifact) return;
    this.taskId ??= artifactUpdate.taskId;
    const { artifactId, parts, metadata } = artifactUpdate.artifact;
    this.#cite(metadata);
    const before = artifactUpdate.append ? (this.#artifacts.get(artifactId) ?? []) : [];
    // Appending in place: a streamed answer has thousands of pieces.
    for (const part of parts) before.push(part);
    this.#artifacts.set(artifactId, before);
  }

  /** The whole task as it is now. */
  replace(task: WireTask): void {
    this.taskId = task.id;
    if (task.contextId) this.contextId = task.contextId;
    const instance = task.metadata?.[a2aMetadata.instance];
    if (typeof instance === 'string') this.instance = instance;
    if (task.status) this.#status = task.status;
    for (const { metadata } of task.artifacts) this.#cite(metadata);
    this.#artifacts = new Map(task.artifacts.map(({ artifactId, parts }) => [artifactId, [...parts]]));
  }

  /** What the agent has said of other agents since the last look. */
  takeDelegations(): Delegation[] {
    return this.#delegations.splice(0);
  }

  /** How the task ended; undefined while it goes on. */
  get outcome(): TaskOutcome | undefined {
    if (this.#message) return outputOf([this.#message.parts]);
    switch (this.#status?.state) {
      case 'TASK_STATE_COMPLETED':
        return this.#output();
      case 'TASK_STATE_FAILED':
        return { failure: failureOf(this.#status.message, 'the agent failed without saying why') };
      case 'TASK_STATE_REJECTED':
        return { failure: failureOf(this.#status.message, 'the agent rejected the task without saying why') };
      case 'TASK_STATE_CANCELED':
        return 'stopped';
      default:
        return undefined;
    }
  }

  /** What the agent waits for from whoever gave it the task. */
  get waitsFor(): string | undefined {
    const { state, message } = this.#status ?? {};
    // The gateway has asked people already.
    if (message?.metadata?.[a2aMetadata.approvals] !== undefined) return undefined;
    if (state === 'TASK_STATE_INPUT_REQUIRED') return 'more input';
    return state === 'TASK_STATE_AUTH_REQUIRED' ? 'authorisation' : undefined;
  }

  get question(): Question | undefined {
    const { state, message, timestamp } = this.#status ?? {};
    if (state !== 'TASK_STATE_INPUT_REQUIRED' || this.waitsFor === undefined) return undefined;
    const text =
      textOf(message).slice(0, MAX_MESSAGE_CHARACTERS) || 'The agent asks for more input, and does not say what.';
    const told = JSON.stringify([message?.messageId, timestamp, text]);
    return { id: createHash('sha256').update(told).digest('hex').slice(0, 32), text };
  }

  /** It has its answer: what it says from now on counts. */
  goOn(): void {
    this.#status = undefined;
  }

  /** What makes no sense is left out: the answer stands without it. */
  #cite(metadata: unknown): void {
    const told = (metadata as Record<string, unknown> | null | undefined)?.[a2aMetadata.citations];
    if (!Array.isArray(told)) return;
    const read = told.slice(0, MOST_CITATIONS).map((one) => citation.safeParse(one));
    this.#citations = read.flatMap(({ data }) => data ?? []);
  }

  #output(): TaskOutcome {
    const artifacts = [...this.#artifacts.values()];
    if (artifacts.length > 0) return withCitations(outputOf(artifacts), this.#citations);
    return outputOf(this.#status?.message ? [this.#status.message.parts] : []);
  }
}

/** Data counts before text: one data part is the output, several are a list. Otherwise the text of all artifacts. */
function outputOf(artifacts: WirePart[][]): TaskOutcome {
  const parts = artifacts.flat();
  if (parts.some((part) => 'raw' in part || 'url' in part)) {
    return {
      failure: { reason: 'InvalidOutput', message: 'the agent answered with a file; only text and data are taken' },
    };
  }
  const data = parts.filter((part) => 'data' in part).map((part) => part.data as Json);
  const text = artifacts.map((one) => one.map((part) => part.text ?? '').join('')).join('\n');
  return sizedOutput(data.length === 0 ? text : data.length === 1 ? (data[0] ?? null) : data);
}

/** The output with its size, or the failure of an output that is too large. */
export function sizedOutput(output: Json): TaskOutcome {
  const bytes = Buffer.byteLength(JSON.stringify(output));
  if (bytes <= MAX_OUTPUT_BYTES) return { output, bytes };
  return {
    failure: { reason: 'InvalidOutput', message: `the output has ${bytes} bytes; ${MAX_OUTPUT_BYTES} are allowed` },
  };
}

/** What an output rests on, beside it. */
export function withCitations(outcome: TaskOutcome, citations: readonly Citation[] = []): TaskOutcome {
  if (outcome === 'stopped' || 'failure' in outcome || citations.length === 0) return outcome;
  return { ...outcome, citations: [...citations] };
}

const textOf = (message: WireMessage | null | undefined): string =>
  (message?.parts ?? []).map((part) => part.text ?? '').join('');

function failureOf(message: WireMessage | null | undefined, otherwise: string): Failure {
  const text = textOf(message);
  return {
    reason: reasonOf(message?.metadata?.[a2aMetadata.reason]) ?? 'AgentFailed',
    message: text.slice(0, MAX_MESSAGE_CHARACTERS) || otherwise,
  };
}

export function reasonOf(value: unknown): FailureReason | undefined {
  return failureReasons.find((reason) => reason === value);
}
