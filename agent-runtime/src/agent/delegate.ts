// Calls that other agents carry out.
import type { Delegation, ToolCall, ToolResult } from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import type { ModelToolCall } from './chat.ts';
import type { Numbered } from './gateway-client.ts';
import { problem, type ToolClient, type ToolDefinition } from './tool-client.ts';

export type Delegate = NonNullable<ToolDefinition['delegation']>;

/** Other agents by the names under which the model asks them. */
export const delegatesOf = (offered: readonly ToolDefinition[]): ReadonlyMap<string, Delegate> =>
  new Map(offered.flatMap(({ name, delegation }) => (delegation ? [[name, delegation]] : [])));

const MAX_MESSAGE = 1024;
const ALONE =
  'Not done: whoever takes the task over gives the answer, so nothing else can be called beside it. Call it by itself.';

/** What is wrong with a call of several. */
export const notAlone = (calls: readonly ModelToolCall[], delegate: Delegate | undefined): ToolResult | undefined =>
  delegate?.handOff && calls.length > 1 ? problem('ToolRefused', ALONE) : undefined;

/** Throws {@link AgentFailure}, after it has told that nobody wants the answer any more. */
export async function askAgent(tools: ToolClient, errand: Numbered, call: ToolCall): Promise<ToolResult> {
  try {
    return await tools.call(errand, call);
  } catch (error) {
    if (errand.stepToken !== undefined && isUnwanted(errand.signal)) await tools.cancel(errand, call);
    throw error;
  }
}

/** A process that ends has its task begun anew elsewhere, and wants the answer there. */
const isUnwanted = ({ aborted, reason }: AbortSignal): boolean =>
  aborted && reason instanceof AgentFailure && reason.reason !== 'AgentUnavailable';

export function delegationOf(delegate: Delegate, call: number, result?: ToolResult): Delegation {
  const { agent } = delegate;
  const id = String(call);
  if (!result) return { id, agent, phase: 'Running' };
  if (!result.isError) return { id, agent, phase: 'Succeeded' };
  const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
  return { id, agent, phase: 'Failed', message: text.slice(0, MAX_MESSAGE) };
}
