// The order in which a call passes through everything: journal, route, limits, budgets, the provider, and back.
import { REPLAYED_HEADER } from '@kadre/crds';
import {
  AnswerBuilder,
  eventsOf,
  noUsage,
  type Answer,
  type FinishEvent,
  type ModelEvent,
  type Usage,
} from '../conversation/answer.ts';
import type { EmbeddingAnswer } from '../conversation/embedding.ts';
import { GatewayError } from '../errors.ts';
import type { AttemptServices } from './attempt.ts';
import { CountedAttempts } from './attempts.ts';
import { MODEL_HEADER, type Call, type ChatCall, type EmbeddingCall } from './call.ts';
import type { Answered, Attempts, CallTrace, JournalEntry, Plan, Strategy } from './hooks.ts';
import { createSequence } from './sequence.ts';

export interface Pipeline {
  /** All throw a GatewayError. What they return has been paid for and written down. */
  generate(call: ChatCall): Promise<Answer & { usage: Usage }>;
  /**
   * Resolves with the first content, so that a refusal still becomes an HTTP status. The events: one `start`, content,
   * one `usage`, and `finish` last; or it throws a GatewayError. Read to the end, or call `return`.
   */
  stream(call: ChatCall): Promise<AsyncGenerator<ModelEvent, void>>;
  embed(call: EmbeddingCall): Promise<EmbeddingAnswer & { usage: Usage }>;
}

const DEFAULT_ATTEMPTS = 3;
const REPLAYED = { [REPLAYED_HEADER]: 'true' };

type Recording = Extract<JournalEntry, { type: 'record' }>;

export function createPipeline(services: AttemptServices): Pipeline {
  const { hooks, clock } = services;
  const sequence = createSequence(clock);

  const planned = async (
    call: Call,
    trace: CallTrace,
  ): Promise<{ plan: Plan; attempts: Attempts; strategy: Strategy }> => {
    const planning = hooks.router.plan(call);
    const plan = planning instanceof Promise ? await planning : planning;
    trace.planned(plan);
    const attempts = new CountedAttempts(services, call, trace, plan.maxAttempts ?? DEFAULT_ATTEMPTS);
    return { plan, attempts, strategy: plan.strategy ?? sequence };
  };

  /** A whole answer, from the journal or from a model. */
  const whole = async <Kind extends keyof AnswerOf>(
    call: Call,
    kind: Kind,
    ask: (call: Call, trace: CallTrace) => Promise<AnswerOf[Kind]>,
  ): Promise<AnswerOf[Kind] & { usage: Usage }> => {
    const trace = hooks.telemetry.begin(call);
    let recording: Recording | undefined;
    try {
      const entry = await begin(call);
      if (entry.type === 'record') recording = entry;
      if (entry.type === 'replay') {
        const answer = (entry.answered as AnswerOfKind<Kind>)[kind];
        note(call, trace);
        trace.end({ answered: entry.answered, usage: noUsage });
        return { ...answer, usage: answer.usage ?? noUsage };
      }
      const answer = { ...(await ask(call, trace)), usage: usageOf(call) };
      sayModel(call);
      const answered = { [kind]: answer } as unknown as Answered;
      if (recording) await committed(recording, answered);
      trace.end({ answered, usage: answer.usage });
      return answer;
    } catch (error) {
      trace.end({ usage: usageOf(call), ...(error instanceof GatewayError ? { error } : {}) });
      throw error;
    } finally {
      recording?.end?.();
    }
  };

  const begin = (call: Call): JournalEntry | Promise<JournalEntry> => hooks.journal.begin(call);

  const note = ({ record, responseHeaders }: Call, trace: CallTrace): void => {
    record.replayed = true;
    Object.assign(responseHeaders, REPLAYED);
    trace.replayed();
  };

  const sayModel = ({ record, responseHeaders }: Call): void => {
    if (record.model !== undefined) responseHeaders[MODEL_HEADER] ??= record.model;
  };

  return {
    generate: (call) =>
      whole(call, 'chat', async (_call, trace) => {
        const { plan, attempts, strategy } = await planned(call, trace);
        return strategy.generate(plan, attempts, call);
      }),
    embed: (call) =>
      whole(call, 'embeddings', async (_call, trace) => {
        const { plan, attempts, strategy } = await planned(call, trace);
        return strategy.embed(plan, attempts);
      }),
    stream: async (call) => {
      const trace = hooks.telemetry.begin(call);
      let recording: Recording | undefined;
      try {
        const entry = await begin(call);
        if (entry.type === 'record') recording = entry;
        if (entry.type === 'replay') {
          note(call, trace);
          trace.end({ answered: entry.answered, usage: noUsage });
          return replay(entry.answered);
        }
        const { plan, attempts, strategy } = await planned(call, trace);
        const events = await strategy.stream(plan, attempts, call);
        call.record.firstTokenMs = clock.now() - call.record.startedAt;
        sayModel(call);
        return watched(events, call, trace, recording);
      } catch (error) {
        recording?.end?.();
        trace.end({ usage: usageOf(call), ...(error instanceof GatewayError ? { error } : {}) });
        throw error;
      }
    },
  };
}

interface AnswerOf {
  chat: Answer;
  embeddings: EmbeddingAnswer;
}
type AnswerOfKind<Kind extends keyof AnswerOf> = Record<Kind, AnswerOf[Kind]>;

/** Of all attempts together. */
const usageOf = ({ record }: Call): Usage => record.charge?.usage ?? noUsage;

async function committed(recording: Recording, answered: Answered): Promise<void> {
  try {
    await recording.commit(answered);
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    const message = 'The answer could not be written into the journal, so it is withheld.';
    throw new GatewayError(500, 'InternalError', message, { retry: false, cause });
  }
}

// eslint-disable-next-line @typescript-eslint/require-await -- what is read as a stream elsewhere is here at once
async function* replay(answered: Answered): AsyncGenerator<ModelEvent, void> {
  if (!('chat' in answered)) throw new GatewayError(500, 'InternalError', 'The journal holds another kind of answer.');
  yield* eventsOf({ ...answered.chat, usage: answered.chat.usage ?? noUsage });
}

/** Puts the events in the order that doors rely on, and commits before the end is said. */
async function* watched(
  events: AsyncGenerator<ModelEvent, void>,
  call: ChatCall,
  trace: CallTrace,
  recording: Recording | undefined,
): AsyncGenerator<ModelEvent, void> {
  const builder = recording ? new AnswerBuilder() : undefined;
  let started = false;
  let finish: FinishEvent | undefined;
  let failure: unknown;
  try {
    for await (const event of events) {
      builder?.add(event);
      if (!started) {
        started = true;
        if (event.type !== 'start') yield { type: 'start' };
      } else if (event.type === 'start') {
        continue;
      }
      if (event.type === 'finish') finish = event;
      else if (event.type !== 'usage') yield event;
    }
    if (!finish) throw new GatewayError(502, 'ModelFailed', 'The answer has no end.', { retry: false });
    const usage = usageOf(call);
    if (!started) yield { type: 'start' };
    const answer = builder?.answer;
    if (recording && answer) await committed(recording, { chat: { ...answer, usage } });
    yield { type: 'usage', usage };
    yield finish;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    recording?.end?.();
    const error = failure instanceof GatewayError ? { error: failure } : {};
    trace.end({ usage: usageOf(call), ...error });
  }
}
