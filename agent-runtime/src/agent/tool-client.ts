// The agent's way to its tools: the gateway, which holds their keys, checks each call and keeps what came of it.
import {
  TOOLS_PATH,
  TOOL_CALL_PATH,
  TOOL_CANCEL_PATH,
  toolList,
  toolPending,
  toolResult,
  type ToolCall,
  type ToolList,
  type ToolResult,
} from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import { parseJson, type Errand, type GatewayClient, type Numbered } from './gateway-client.ts';

export type ToolDefinition = ToolList['tools'][number];

export interface ToolClient {
  /** In the order of their names, so that the same tools make the same request. Throws {@link AgentFailure}. */
  list(errand: Errand): Promise<ToolDefinition[]>;
  /**
   * Waits for people who must approve the call, and tells the name of the Approval then. Throws {@link AgentFailure} where the
   * agent cannot go on; all else is for the model to see.
   */
  call(errand: Numbered, call: ToolCall, onWaiting?: (approval: string) => void): Promise<ToolResult>;
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
    async call(errand, call, onWaiting) {
      // A step's calls have numbers under which their results are kept; others must not happen twice.
      const once = errand.stepToken === undefined;
      const request = { ...shared, path: TOOL_CALL_PATH, body: JSON.stringify(call), once };
      for (;;) {
        const text = await gateway.text(errand, request).catch((error: unknown) => {
          if (error instanceof AgentFailure && error.details.unsure === true) return undefined;
          throw error;
        });
        if (text === undefined) return problem('ToolFailed', UNSURE);
        const answer = parseJson(text);
        const waits = toolPending.safeParse(answer);
        // The gateway lets some time pass itself before it says so.
        if (waits.success && !once) {
          onWaiting?.(waits.data.pending.approval);
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

/** A result that tells the model what is wrong. */
export function problem(reason: NonNullable<ToolResult['reason']>, text: string): ToolResult {
  return { content: [{ type: 'text', text }], isError: true, reason, trust: 'trusted' };
}
