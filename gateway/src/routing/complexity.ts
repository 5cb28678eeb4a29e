// A route that tells calls apart by what they need: by a rule, by the judgement of a small Model, or by their looks.
import type { ModelRoute, ProviderModel, RoutePath } from '@kadre/crds';
import { textOfAnswer } from '../conversation/answer.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { GatewayError } from '../errors.ts';
import type { ChatCall } from '../pipeline/call.ts';
import type { Attempts, Plan, Strategy } from '../pipeline/hooks.ts';
import type { Draft } from './draft.ts';
import { pathByHeuristic } from './facts.ts';
import type { RoleCandidate } from './noted.ts';
import { pathByRule } from './rule.ts';
import { transcriptOf } from './transcript.ts';

/** Where calls go of which nobody can tell what they need. */
const DOUBT: RoutePath = 'quality';

/** By the rule, or without one by the looks of the call. */
export function pathOf(complexity: ModelRoute['complexity'], call: ChatCall, draft: Draft): RoutePath {
  if (complexity?.rule === undefined) {
    const { path, reason } = pathByHeuristic(call);
    draft.note(`the path of ${path}, because ${reason}`);
    return path;
  }
  try {
    const path = pathByRule(complexity.rule, call);
    draft.note(`the path of ${path}, by the rule`);
    return path;
  } catch (error) {
    draft.note(
      `the path of ${DOUBT}, because the rule failed: ${error instanceof Error ? error.message : 'no reason'}`,
    );
    return DOUBT;
  }
}

interface ClassifierOptions {
  model: ProviderModel;
  instructions: string | undefined;
  draft: Draft;
  /** The candidates in the order of that path. */
  ranked: (path: RoutePath) => Plan['candidates'];
}

/** Asks the small Model first; it counts as one attempt. */
export function byClassifier(inner: Strategy, options: ClassifierOptions): Strategy {
  const { draft, ranked } = options;
  const planned = async (plan: Plan, attempts: Attempts, call: ChatCall): Promise<Plan> => {
    const path = await classified(attempts, call, options).catch((error: unknown) => {
      if (attempts.signal.aborted || attempts.left <= 0) throw error;
      const why = error instanceof GatewayError ? error.message : 'its answer makes no sense';
      draft.note(`the path of ${DOUBT}, because the classifier failed: ${why}`);
      return DOUBT;
    });
    return { ...plan, candidates: ranked(path) };
  };
  return {
    ...inner,
    generate: async (plan, attempts, call) => inner.generate(await planned(plan, attempts, call), attempts, call),
    stream: async (plan, attempts, call) => inner.stream(await planned(plan, attempts, call), attempts, call),
  };
}

const MAX_TOKENS = 1_024;
const INSTRUCTIONS =
  "Judge how hard the last message of the conversation is, and what a mistake in its answer would cost. 'speed': a small model answers it well. 'quality': it wants knowledge, judgement or careful writing. 'reliability': it wants many steps, code or exact results, or a mistake would be costly.";

const SCHEMA = {
  type: 'object',
  properties: { path: { enum: ['speed', 'quality', 'reliability'] }, reason: { type: 'string' } },
  required: ['path', 'reason'],
  additionalProperties: false,
};

async function classified(
  attempts: Attempts,
  { request }: ChatCall,
  { model, instructions = INSTRUCTIONS, draft }: ClassifierOptions,
): Promise<RoutePath> {
  const candidate: RoleCandidate = { model, role: 'classifier', reason: 'it tells calls apart' };
  const asked: ModelRequest = {
    model: model.metadata.name,
    messages: [
      { role: 'system', parts: [{ type: 'text', text: instructions }] },
      { role: 'user', parts: [{ type: 'text', text: transcriptOf(request) }] },
    ],
    output: { type: 'schema', name: 'path', schema: SCHEMA, strict: true },
    sampling: { maxTokens: MAX_TOKENS },
  };
  const answer = await attempts.generate(candidate, asked);
  const { path, reason } = JSON.parse(textOfAnswer(answer) ?? '') as { path: RoutePath; reason: string };
  if (!(path in { speed: 1, quality: 1, reliability: 1 })) throw new Error('it names no path');
  draft.note(`the path of ${path}, because the classifier says: ${reason}`);
  return path;
}
