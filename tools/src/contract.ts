// What a tool is to whoever calls it, however it is reached.
import type { Citation, Tool } from '@kadre/crds';

/** One thing that can be called. */
export interface Operation {
  /** Absent: the Tool has but one. */
  name?: string;
  description: string;
  /** A JSON Schema of an object. */
  inputSchema: Record<string, unknown>;
  outputSchema?: Record<string, unknown>;
}

export interface Described {
  operations: Operation[];
  /** What the server says that it is. */
  server?: string;
  /** What is there and cannot be called, each with its reason. */
  leftOut?: string[];
}

export interface ToolCallRequest {
  operation?: string;
  args: Record<string, unknown>;
  /** Stable over retries and crashes. */
  idempotencyKey: string;
  signal: AbortSignal;
  /** Sent along where the tool is reached over HTTP, such as traceparent. */
  headers: Readonly<Record<string, string>>;
  /** Is told what the tool prints while it is at work. */
  progress?: (text: string) => void;
  /** Who asks. Absent where nobody but a test does. */
  caller?: ToolCaller;
}

/** On whose behalf a tool is called. */
export interface ToolCaller {
  namespace: string;
  agent: string;
  /** Absent outside of runs. */
  step?: {
    /** UID of the Run. */
    run: string;
    step: string;
    attempt: number;
    /** Its number among the calls of the attempt. */
    call: number;
  };
}

export type Content = { type: 'text'; text: string } | { type: 'image'; data: string; mediaType: string };

export interface ToolAnswer {
  content: Content[];
  structured?: unknown;
  /** The tool has done its work and says that it came to nothing: the model should read it. */
  isError: boolean;
  /** The last parts of `content` are these passages, in this order. */
  citations?: Citation[];
}

/** @throws ToolError 'misconfigured', naming what is missing */
export type ReadSecret = (name: string, key: string) => Promise<string>;

/** All methods throw {@link ToolError}; if the caller's own signal ends them, its reason. */
export interface Toolbox {
  /** Asks the server, or reads the document. Whoever calls keeps the answer: nothing is cached here. */
  describe(tool: Tool, secret: ReadSecret, signal: AbortSignal): Promise<Described>;
  call(tool: Tool, secret: ReadSecret, request: ToolCallRequest): Promise<ToolAnswer>;
  close(): Promise<void>;
}
