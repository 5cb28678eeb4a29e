// One step's question to the gateway, asked until there is an answer: through restarts of the gateway, and while people decide.
import { pause, type Clock } from '@kadre/a2a';
import { CODE_PATH, TOOL_CALL_PATH, toolPending, type CodeCall, type ToolCall } from '@kadre/crds';
import type { Outcome } from '../../core/events.ts';
import type { CodeWork, ToolWork } from '../../core/work.ts';
import { codeOutcome, toolOutcome } from './answers.ts';
import { GatewayAway, type GatewayConnection } from './connection.ts';

export interface Errand {
  work: ToolWork | CodeWork;
  /** A fresh one for each try. */
  stepToken: () => string;
  headers: Record<string, string>;
}

export interface ErrandOptions {
  connection: Pick<GatewayConnection, 'ask'>;
  clock: Clock;
  /** Milliseconds that the gateway may be away. */
  gatewayPatience: number;
  /** Told at first when people must decide before the tool is called. */
  onPending: (approval: string) => void;
  signal: AbortSignal;
}

/** Milliseconds between tries: doubled from the first to the last. */
const FIRST_PAUSE = 100;
const LAST_PAUSE = 2000;
/** Longer than the gateway lets a call of a tool take. */
const TOOL_SILENCE = 660_000;
/** What may be needed for a sandbox beside the time of its program. */
const SANDBOX_WAIT = 180_000;

/** Resolves with how it ended; 'stopped' when the signal aborts, with which the gateway breaks off what it does. */
export async function runErrand(errand: Errand, options: ErrandOptions): Promise<Outcome> {
  const { clock, signal, connection, gatewayPatience } = options;
  const question = { ...questionOf(errand.work), headers: errand.headers, signal };
  let awaySince: number | undefined;
  for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LAST_PAUSE)) {
    const asked = clock.now();
    try {
      const reply = await connection.ask({ ...question, stepToken: errand.stepToken() });
      if ('failure' in reply) return reply;
      if ('answer' in reply) return outcomeOf(errand.work, reply.answer);
      awaySince = undefined;
      const waiting = toolPending.safeParse(reply.pending);
      if (waiting.success) options.onPending(waiting.data.pending.approval);
      // The gateway keeps the question for a while before it says so.
      if (clock.now() - asked > LAST_PAUSE) wait = FIRST_PAUSE;
    } catch (error) {
      if (signal.aborted) return 'stopped';
      if (!(error instanceof GatewayAway)) throw error;
      awaySince ??= clock.now();
      if (clock.now() - awaySince >= gatewayPatience)
        return { failure: { reason: failed(errand.work), message: error.message } };
    }
    await pause(clock, wait, signal);
    if (signal.aborted) return 'stopped';
  }
}

const failed = ({ kind }: Errand['work']) => (kind === 'tool' ? 'ToolFailed' : 'CodeFailed');

function questionOf(work: Errand['work']): { path: string; body: string; patience: number } {
  if (work.kind === 'tool') {
    const { tool, operation, args } = work;
    const call: ToolCall = {
      name: tool,
      ...(operation !== undefined && { operation }),
      arguments: JSON.stringify(args),
    };
    return { path: TOOL_CALL_PATH, body: JSON.stringify(call), patience: TOOL_SILENCE };
  }
  const { language, source, input, files, sandbox, timeoutMs } = work;
  const call: CodeCall = {
    ...{ language, source, timeoutMs },
    ...(input !== undefined && { input }),
    ...(files.length > 0 && { files }),
    ...(sandbox && { sandbox }),
  };
  return { path: CODE_PATH, body: JSON.stringify(call), patience: timeoutMs + SANDBOX_WAIT };
}

const outcomeOf = (work: Errand['work'], answer: unknown): Outcome =>
  work.kind === 'tool' ? toolOutcome(answer) : codeOutcome(answer, work.keep);
