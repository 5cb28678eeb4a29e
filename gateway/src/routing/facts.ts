// What rules look at, and the judgement that does without a rule.
import type { RoutePath } from '@kadre/crds';
import { instructionsOf, lastPrompt } from '../conversation/text.ts';
import type { Part } from '../conversation/request.ts';
import type { ChatCall } from '../pipeline/call.ts';
import { estimateOf } from '../pipeline/estimate.ts';

/** More of a text is not looked at. */
const MAX_TEXT = 32_768;
const MAX_TOOLS = 256;

/** The variables of a rule, as CEL wants them. */
export interface Facts extends Record<string, unknown> {
  prompt: string;
  instructions: string;
  inputTokens: bigint;
  messages: bigint;
  tools: string[];
  images: bigint;
  structured: boolean;
  /** The effort that the caller asks for; empty if it does not say. */
  reasoning: string;
  streamed: boolean;
  agent: string;
  /** Empty outside a run. */
  step: string;
}

export function factsOf({ request, streamed, caller }: ChatCall): Facts {
  return {
    prompt: lastPrompt(request).slice(0, MAX_TEXT),
    instructions: instructionsOf(request).join('\n').slice(0, MAX_TEXT),
    inputTokens: BigInt(estimateOf(request, undefined).inputTokens),
    messages: BigInt(request.messages.length),
    tools: (request.tools ?? []).slice(0, MAX_TOOLS).map(({ name }) => name),
    images: BigInt(request.messages.reduce((sum, { parts }) => sum + imagesIn(parts), 0)),
    structured: request.output !== undefined && request.output.type !== 'text',
    reasoning: request.reasoning?.effort ?? '',
    streamed,
    agent: caller.agent,
    step: caller.step?.step ?? '',
  };
}

const imagesIn = (parts: readonly Part[]): number =>
  parts.reduce((sum, part) => {
    if (part.type === 'toolResult') return sum + imagesIn(part.parts);
    return sum + (part.type === 'image' ? 1 : 0);
  }, 0);

const LONG_INPUT = 8_000;
const SHORT_INPUT = 400;
const HARD = new Set(['high', 'xhigh', 'max']);
const EASY = new Set(['none', 'minimal', 'low']);

/** Without a rule: what says most about a call comes first. */
export function pathByHeuristic(call: ChatCall): { path: RoutePath; reason: string } {
  const { inputTokens, tools, images, structured, reasoning } = factsOf(call);
  if (HARD.has(reasoning)) return { path: 'reliability', reason: `the caller asks for ${reasoning} effort` };
  if (EASY.has(reasoning)) return { path: 'speed', reason: `the caller asks for ${reasoning} effort` };
  if (tools.length > 0 && structured) return { path: 'reliability', reason: 'it has tools and a format to keep' };
  if (inputTokens > LONG_INPUT) return { path: 'quality', reason: `its input is long (about ${inputTokens} tokens)` };
  if (tools.length > 0) return { path: 'quality', reason: 'it has tools' };
  if (images > 0n) return { path: 'quality', reason: 'it has images' };
  if (structured) return { path: 'quality', reason: 'it has a format to keep' };
  if (inputTokens > SHORT_INPUT) return { path: 'quality', reason: `its input is of about ${inputTokens} tokens` };
  return { path: 'speed', reason: `it is short (about ${inputTokens} tokens), without tools, images or a format` };
}
