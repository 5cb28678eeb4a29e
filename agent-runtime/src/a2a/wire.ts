// A2A 1.0 on the wire, as ProtoJSON: the part that the runtime speaks.
import { a2aMetadata } from '@kadre/crds';
import { z } from 'zod';

export const taskStates = [
  'TASK_STATE_SUBMITTED',
  'TASK_STATE_WORKING',
  'TASK_STATE_COMPLETED',
  'TASK_STATE_FAILED',
  'TASK_STATE_CANCELED',
  'TASK_STATE_INPUT_REQUIRED',
  'TASK_STATE_REJECTED',
  'TASK_STATE_AUTH_REQUIRED',
] as const;
export type TaskState = (typeof taskStates)[number];

export type Part = { text: string } | { data: unknown; mediaType: 'application/json' };

export interface WireMessage {
  messageId: string;
  contextId: string;
  taskId: string;
  role: 'ROLE_USER' | 'ROLE_AGENT';
  parts: unknown[];
  metadata?: Record<string, unknown>;
}

export interface TaskStatus {
  state: TaskState;
  message?: WireMessage;
  /** RFC 3339. */
  timestamp: string;
}

export interface Artifact {
  artifactId: string;
  name: string;
  parts: Part[];
  metadata?: Record<string, unknown>;
}

export interface WireTask {
  id: string;
  contextId: string;
  status: TaskStatus;
  artifacts?: Artifact[];
  history?: WireMessage[];
  metadata?: Record<string, unknown>;
}

/** Each event of a stream holds exactly one of these. */
export type StreamResponse =
  | { task: WireTask }
  | { statusUpdate: { taskId: string; contextId: string; status: TaskStatus; metadata?: Record<string, unknown> } }
  | { artifactUpdate: { taskId: string; contextId: string; artifact: Artifact; append: boolean; lastChunk: boolean } };

const identifier = z.string().min(1).max(256);
const historyLength = z.int().min(0).nullish();
const content = ['text', 'data', 'raw', 'url'] as const;

const part = z
  .looseObject({ text: z.string().nullish() })
  .refine(
    (given) => content.filter((kind) => kind in given && (kind === 'data' || given[kind] !== null)).length === 1,
    {
      message: 'must hold exactly one of text, data, raw and url',
    },
  );

const message = z.object({
  messageId: identifier,
  contextId: z.string().max(256).nullish(),
  taskId: z.string().max(256).nullish(),
  role: z.literal('ROLE_USER', 'must be ROLE_USER'),
  parts: z.array(part).min(1).max(256),
  metadata: z
    .looseObject({
      [a2aMetadata.stepToken]: z.string().min(1).max(8192).optional(),
      [a2aMetadata.depth]: z.int().min(0).max(100).optional(),
      [a2aMetadata.tainted]: z.boolean().optional(),
    })
    .nullish(),
});

export const sendParams = z.object({
  message,
  configuration: z
    .looseObject({
      historyLength,
      returnImmediately: z.boolean().nullish(),
      taskPushNotificationConfig: z.unknown().optional(),
    })
    .nullish(),
});

export const getParams = z.object({ id: identifier, historyLength });
export const idParams = z.object({ id: identifier });

export const listParams = z.object({
  contextId: z.string().nullish(),
  status: z.enum(['TASK_STATE_UNSPECIFIED', ...taskStates]).nullish(),
  pageSize: z.int().min(1).max(100).nullish(),
  pageToken: z.string().max(512).nullish(),
  historyLength,
  statusTimestampAfter: z.iso.datetime({ offset: true }).nullish(),
  includeArtifacts: z.boolean().nullish(),
});

export type SendParams = z.infer<typeof sendParams>;
export type IncomingMessage = SendParams['message'];
export type ListParams = z.infer<typeof listParams>;
