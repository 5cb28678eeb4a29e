// A strategy whose decision is written down once it is known who answers.
import { GatewayError } from '../errors.ts';
import type { Call } from '../pipeline/call.ts';
import type { Attempts, Strategy } from '../pipeline/hooks.ts';
import { noted, type Notes } from './noted.ts';

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
      const answeredBy = draft.answeredBy ?? watched.answeredBy;
      if (answeredBy !== undefined) call.record.model = answeredBy;
      record(draft.chosen ?? answeredBy);
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
