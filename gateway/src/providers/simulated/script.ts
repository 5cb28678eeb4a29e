// Which entry of a script answers.
import type { ProviderModel } from '@kadre/crds';
import type { ModelRequest } from '../../conversation/request.ts';
import { lastPrompt, textOf } from '../../conversation/text.ts';
import { misconfigured } from '../../errors.ts';
import { ProviderError } from '../provider.ts';
import { matchesScript } from './pattern.ts';

export type Entry = NonNullable<NonNullable<ProviderModel['spec']['simulated']>['script']>[number];

/** What an entry looks at. */
export interface Situation {
  /** The last message of the user. */
  prompt: string;
  /** What tools said, if that is the last thing that was said. */
  toolResult: string | undefined;
}

export function situationOf(request: ModelRequest): Situation {
  const { messages } = request;
  const end = messages.findLastIndex(({ role }) => role !== 'tool') + 1;
  const results = messages.slice(end).flatMap(({ parts }) => parts);
  const said = results.map((part) => (part.type === 'toolResult' ? textOf(part.parts) : ''));
  return { prompt: lastPrompt(request), toolResult: results.length === 0 ? undefined : said.join('\n') };
}

/**
 * The first entry that matches and still has something to say; `undefined`: echo. Throws the error of an entry that
 * fails, and counts it in `failed`.
 */
export function entryFor(model: ProviderModel, situation: Situation, failed: number[]): Entry | undefined {
  for (const [index, entry] of (model.spec.simulated?.script ?? []).entries()) {
    if (!isFor(entry, situation, model, index)) continue;
    if (!entry.error) return entry;
    const times = failed[index] ?? 0;
    if (entry.error.times !== undefined && times >= entry.error.times) continue;
    failed[index] = times + 1;
    throw new ProviderError('status', entry.error.message ?? 'a scripted error', { status: entry.error.status });
  }
  return undefined;
}

function isFor(entry: Entry, { prompt, toolResult }: Situation, model: ProviderModel, index: number): boolean {
  const { match, matchToolResult, toolCalls } = entry;
  if (match !== undefined && !matches(match, prompt, model, `script[${index}].match`)) return false;
  if (matchToolResult === undefined) return toolCalls === undefined || toolResult === undefined;
  return toolResult !== undefined && matches(matchToolResult, toolResult, model, `script[${index}].matchToolResult`);
}

function matches(expression: string, text: string, model: ProviderModel, where: string): boolean {
  const result = matchesScript(expression, text);
  if (typeof result !== 'string') return result;
  const message = `Model ${model.metadata.name}: ${where} is not a valid expression: ${result}.`;
  throw misconfigured('ModelFailed', message);
}
