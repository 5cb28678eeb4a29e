// What each kind of tool does, with the bounds that hold for all of them.
import type { Tool } from '@kadre/crds';
import type { Described, ReadSecret, ToolAnswer, ToolCallRequest } from './contract.ts';

/** One use of a Tool. */
export interface Errand {
  tool: Tool;
  secret: ReadSecret;
  /** Ends with the caller's, and after the Tool's timeout. */
  signal: AbortSignal;
  /** Of an answer. */
  maxBytes: number;
}

export interface Executor {
  describe(errand: Errand): Promise<Described>;
  call(errand: Errand, request: ToolCallRequest): Promise<ToolAnswer>;
  close?(): Promise<void>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

export const textAnswer = (text: string): ToolAnswer => ({ content: [{ type: 'text', text }], isError: false });

/** The model can do something about it, and should read what. */
export const failure = (text: string): ToolAnswer => ({ content: [{ type: 'text', text }], isError: true });
