// What is known of the Workflows that steps call.
import type { Type } from '../expression/types.ts';

export interface Callee {
  /** Why it cannot be called. */
  problem?: string;
  inputSchema?: Record<string, unknown>;
  output: Type;
}

/** undefined: nothing is known of it. */
export type Callees = (name: string) => Callee | undefined;
