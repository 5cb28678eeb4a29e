// A strategy whose decision is written down once it is known who answers.
import { GatewayError } from '../errors.ts';
import { MODEL_HEADER, type Call } from '../pipeline/call.ts';
import type { Attempts, Strategy } from '../pipeline/hooks.ts';
import { noted, type NotedAttempts, type Notes } from './noted.ts';

export interface Recording extends Notes {
  call: Call;
  /** Hands the finished decision over; never throws, never waits. `chosen`: absent if nobody answered. */
  record: (chosen: string | undefined) => void;
}

export function recorded(inner: Strategy, recording: Recording): Strategy {
  const { call, draft, record } = recording;
  const watch = async <T>(attempts: Attempts, run: (watched: Attempts) => Promise<T>): Promise<T> => {
    const watched = noted(attempts, recording);
    try {
      const result = await run(watched);
      const { answeredBy = [watched.answeredBy ?? ''] } = draft;
      sayWho(call, answeredBy, watched);
      record(draft.chosen ?? answeredBy.join(', '));
      return result;
    } catch (error) {
      draft.note(`no answer: ${error instanceof GatewayError ? error.message : 'the gateway failed'}`);
      record(undefined);
      throw error;
    }
  };
  return {
    generate: (plan, attempts, chat) => watch(attempts, (watched) => inner.generate(plan, watched, chat)),
    stream: (plan, attempts, chat) => watch(attempts, (watched) => inner.stream(plan, watched, chat)),
    embed: (plan, attempts) => watch(attempts, (watched) => inner.embed(plan, watched)),
  };
}

/** The log and the metrics know one Model for each call: where there are several it is the route. */
function sayWho(
  { record, request, responseHeaders }: Call,
  names: readonly string[],
  { providers }: NotedAttempts,
): void {
  const [name = ''] = names;
  responseHeaders[MODEL_HEADER] = names.join(', ');
  record.model = names.length === 1 ? name : request.model;
  const provider = names.length === 1 ? providers.get(name) : undefined;
  if (provider === undefined) delete record.provider;
  else record.provider = provider;
}
