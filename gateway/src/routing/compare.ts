// All answers side by side.
import { replayed, textOfAnswer, type Answer } from '../conversation/answer.ts';
import { invalidRequest } from '../errors.ts';
import type { Clock } from '../options.ts';
import type { ChatCall } from '../pipeline/call.ts';
import type { Attempts, Plan, Strategy } from '../pipeline/hooks.ts';
import { costNanoUsd, type PriceBook } from '../price/price.ts';
import type { Draft } from './draft.ts';
import { askAll, tooFew, type Member } from './panel.ts';

interface CompareOptions {
  route: string;
  draft: Draft;
  prices: PriceBook;
  clock: Clock;
}

/** Throws a 400 for what cannot be answered in JSON of the gateway's own. */
export function checkComparable(route: string, { request }: ChatCall): void {
  if (request.output === undefined || request.output.type === 'text') return;
  throw invalidRequest(
    `Route ${route} compares, and answers in a format of its own: ask without a format, or ask one of its Models.`,
    'response_format',
  );
}

export function createCompare(options: CompareOptions): Strategy {
  const compared = async ({ candidates }: Plan, attempts: Attempts): Promise<Answer> => {
    const { route, draft, clock } = options;
    const members = await askAll(candidates, attempts, { quorum: 1, clock });
    const answered = members.filter(({ answer }) => answer).map(({ candidate }) => candidate.model.metadata.name);
    if (answered.length === 0) throw tooFew(route, members, 1);
    draft.reason = `all answers side by side: ${answered.length} of ${members.length} Models answered`;
    draft.answeredBy = answered;
    const text = JSON.stringify({ answers: members.map((member) => shown(member, options)) });
    return { parts: [{ type: 'text', text }], finish: 'stop' };
  };
  return {
    generate: compared,
    stream: async (plan, attempts) => replayed(await compared(plan, attempts)),
    embed: () => Promise.reject(new Error('vectors are not compared')),
  };
}

function shown({ candidate: { model }, answer, error, durationMs }: Member, { prices, clock }: CompareOptions): object {
  if (!answer) return { model: model.metadata.name, error: { code: error?.code, message: error?.message }, durationMs };
  const { usage, parts } = answer;
  const price = prices.priceOf(model.spec, clock.now());
  const calls = parts.flatMap((part) =>
    part.type === 'toolCall' ? [{ name: part.name, arguments: part.arguments || '{}' }] : [],
  );
  const refusal = parts.flatMap((part) => (part.type === 'refusal' ? [part.text] : [])).join('');
  return {
    model: model.metadata.name,
    text: textOfAnswer(answer),
    ...(calls.length > 0 && { toolCalls: calls }),
    ...(refusal !== '' && { refusal }),
    usage: usage && { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens },
    costUsd: price && usage ? costNanoUsd(price, usage) / 1e9 : null,
    durationMs,
  };
}
