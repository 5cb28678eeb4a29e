// Calls of what is offered, and what comes of them.
import type { RequestedRun } from '@kadre/store';

export interface Call {
  /** Of the tool. */
  name: string;
  spec: RequestedRun;
  /** Aborts when the client wants no answer any more. */
  signal: AbortSignal;
  /** Under what name the client may come back for it. */
  named?: string;
  /** Told what is finished of all, such as 3/7. */
  onProgress?: (progress: string) => void;
}

/** As the protocol has it. */
export interface Result {
  [field: string]: unknown;
  content: { type: 'text'; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

export const problem = (text: string): Result => ({ content: [{ type: 'text', text }], isError: true });

export function answer(output: unknown): Result {
  if (typeof output === 'string') return { content: [{ type: 'text', text: output }] };
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output);
  return {
    content: [{ type: 'text', text: JSON.stringify(output ?? null) }],
    ...(isObject && { structuredContent: output as Record<string, unknown> }),
  };
}
