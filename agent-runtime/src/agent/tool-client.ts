// The agent's way to its tools: the gateway, which holds their keys, checks each call and keeps what came of it.
import {
  PROGRESS_TYPE,
  TOOLS_PATH,
  TOOL_CALL_PATH,
  TOOL_CANCEL_PATH,
  toolList,
  toolPending,
  toolProgress,
  toolResult,
  type ToolCall,
  type ToolList,
  type ToolResult,
} from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import { parseJson, type Errand, type GatewayClient, type Numbered } from './gateway-client.ts';

export type ToolDefinition = ToolList['tools'][number];

/** What may be heard of a call before there is a result. */
export interface OnTheWay {
  /** People must decide first: the name of the Approval. */
  waiting?: (approval: string) => void;
  /** What the tool prints. */
  output?: (text: string) => void;
}

export interface ToolClient {
  /** In the order of their names, so that the same tools make the same request. Throws {@link AgentFailure}. */
  list(errand: Errand): Promise<ToolDefinition[]>;
  /**
   * Waits for people who must approve the call, and tells the name of the Approval then. Throws {@link AgentFailure} where the
   * agent cannot go on; all else is for the model to see.
   */
  call(errand: Numbered, call: ToolCall, on?: OnTheWay): Promise<ToolResult>;
  /** Of a step: nobody wants the answer of that call any more. Never throws: whoever does not hear of it comes to an end, too. */
  cancel(errand: Numbered, call: ToolCall): Promise<void>;
}

const CANCEL_MS = 5_000;

const UNSURE =
  'The connection broke before there was a result. It is not known whether the call took effect: find out before you make it again.';

export function createToolClient(gateway: GatewayClient): ToolClient {
  const shared = { accept: 'application/json', otherwise: 'ToolFailed' } as const;
  return {
    async list(errand) {
      const { signal, stepToken, traceparent } = errand;
      const text = await gateway.text({ signal, stepToken, traceparent }, { ...shared, path: TOOLS_PATH });
      const parsed = toolList.safeParse(parseJson(text));
      if (!parsed.success) throw new AgentFailure('ToolFailed', 'The gateway sent something that is no list of tools.');
      return parsed.data.tools.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async call(errand, call, on = {}) {
      // A step's calls have numbers under which their results are kept; others must not happen twice.
      const once = errand.stepToken === undefined;
      const heard = on.output && { accept: `${shared.accept}, ${PROGRESS_TYPE}`, onText: progressIn(on.output) };
      const request = { ...shared, path: TOOL_CALL_PATH, body: JSON.stringify(call), once, ...heard };
      for (;;) {
        const text = await gateway.text(errand, request).catch((error: unknown) => {
          if (error instanceof AgentFailure && error.details.unsure === true) return undefined;
          throw error;
        });
        if (text === undefined) return problem('ToolFailed', UNSURE);
        const answer = parseJson(text) ?? parseJson(text.slice(text.lastIndexOf('\n') + 1));
        const waits = toolPending.safeParse(answer);
        // The gateway lets some time pass itself before it says so.
        if (waits.success && !once) {
          on.waiting?.(waits.data.pending.approval);
          continue;
        }
        const parsed = toolResult.safeParse(answer);
        if (!parsed.success) throw new AgentFailure('ToolFailed', 'The gateway sent something that is no result.');
        return parsed.data;
      }
    },
    async cancel(errand, call) {
      const asked = { ...errand, signal: AbortSignal.timeout(CANCEL_MS) };
      const request = { ...shared, path: TOOL_CANCEL_PATH, body: JSON.stringify(call) };
      await gateway.text(asked, request).catch(() => undefined);
    },
  };
}

/** Pieces of text, in which lines come before the result. */
function progressIn(tell: (text: string) => void): (piece: string) => void {
  let rest = '';
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const told = toolProgress.safeParse(parseJson(line));
      if (told.success) tell(told.data.progress);
    }
  };
}

/** A result that tells the model what is wrong. */
export function problem(reason: NonNullable<ToolResult['reason']>, text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: true, reason, trust: 'trusted' };
}
