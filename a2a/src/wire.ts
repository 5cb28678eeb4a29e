// A2A 1.0 over JSON-RPC, as far as it is spoken and read here: ProtoJSON, where a field with its zero value may be
// missing. https://a2a-protocol.org/v1.0.0/specification
import { z } from 'zod';

const metadata = z.record(z.string(), z.unknown()).nullish();

// `data` may hold null, so it is told from a missing one by `in`; declared, it would always be there.
const part = z.looseObject({ text: z.string().optional() });

const message = z.looseObject({ messageId: z.string().optional(), parts: z.array(part).default([]), metadata });

const status = z.looseObject({
  state: z.string().default('TASK_STATE_UNSPECIFIED'),
  message: message.nullish(),
  timestamp: z.string().nullish(),
});

const artifact = z.looseObject({ artifactId: z.string().default(''), parts: z.array(part).default([]) });

const task = z.looseObject({
  id: z.string().min(1).max(1024),
  contextId: z.string().max(1024).nullish(),
  status: status.nullish(),
  artifacts: z.array(artifact).default([]),
  metadata,
});

const streamResponse = z.looseObject({
  task: task.optional(),
  message: message.optional(),
  statusUpdate: z.looseObject({ taskId: z.string(), status: status.nullish(), metadata }).optional(),
  artifactUpdate: z
    .looseObject({ taskId: z.string(), artifact: artifact.nullish(), append: z.boolean().default(false) })
    .optional(),
});

const rpcError = z.looseObject({ code: z.number(), message: z.string().default(''), data: z.unknown().optional() });

/** One answer: the single one, or one event of a stream. */
export const rpcResponse = z.looseObject({ result: z.unknown().optional(), error: rpcError.nullish() });

export const wire = { task, streamResponse };

export type WirePart = z.infer<typeof part>;
export type WireMessage = z.infer<typeof message>;
export type WireStatus = z.infer<typeof status>;
export type WireTask = z.infer<typeof task>;
export type StreamResponse = z.infer<typeof streamResponse>;
export type RpcErrorBody = z.infer<typeof rpcError>;

export const errorCodes = { taskNotFound: -32001, taskNotCancelable: -32002, unsupportedOperation: -32004 } as const;
