// The order of things, with parts that only take notes and a provider that does as it is told.
import { describe, expect, test } from '@jest/globals';
import type { ProviderModel } from '@kadre/crds';
import type { UsageRecord } from '@kadre/store';
import { eventsOf, noUsage, type Answer, type ModelEvent } from '../conversation/answer.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';
import { createPriceBook } from '../price/price.ts';
import { ProviderError, type FormatMode, type Provider } from '../providers/provider.ts';
import type { RequestRecord } from '../requests.ts';
import type { ChatCall } from './call.ts';
import type { Answered, Hooks, JournalEntry, Plan, Strategy } from './hooks.ts';
import { createPipeline, type Pipeline } from './pipeline.ts';

type Step = Answer | ProviderError | ((request: ModelRequest) => Answer);

const words = (text: string, more: Partial<Answer> = {}): Answer => ({
  parts: [{ type: 'text', text }],
  finish: 'stop',
  usage: { ...noUsage, inputTokens: 10, outputTokens: 5 },
  ...more,
});
const failed = (status: number, retryAfter?: string): ProviderError =>
  new ProviderError('status', 'no', { status, retryAfter });
/** A journal that keeps what it is given. */
const keeping = (commit: (answered: Answered) => void): JournalEntry => ({
  type: 'record',
  commit: (answered) => {
    commit(answered);
    return Promise.resolve();
  },
  end: () => undefined,
});
const user = (text: string): ModelRequest['messages'] => [{ role: 'user', parts: [{ type: 'text', text }] }];

interface Options {
  /** What the provider does, attempt by attempt. */
  steps: Step[];
  models?: string[];
  plan?: Partial<Plan>;
  request?: Partial<ModelRequest>;
  journal?: (commit: (answered: Answered) => void) => JournalEntry;
  hooks?: Partial<Hooks>;
  formatMode?: FormatMode;
}

function setUp({ steps, models = ['m'], plan, request, journal, hooks, formatMode = 'native' }: Options) {
  const notes: string[] = [];
  const asked: ModelRequest[] = [];
  const recorded: UsageRecord[] = [];
  const committed: Answered[] = [];
  const pauses: number[] = [];
  const take = (sent: ModelRequest): Answer => {
    notes.push('provider');
    asked.push(sent);
    const step = steps[asked.length - 1];
    if (step === undefined || step instanceof ProviderError) throw step ?? new Error('asked too often');
    return typeof step === 'function' ? step(sent) : step;
  };
  const provider: Provider = {
    check: () => undefined,
    formatMode: () => formatMode,
    generate: ({ request: sent }) => new Promise((resolve) => resolve(take(sent))),
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream that is there at once
    stream: async function* ({ request: sent }) {
      yield* eventsOf(take(sent));
    },
  };
  const clock: Clock = {
    now: () => 1_000,
    after: (ms, callback) => {
      pauses.push(ms);
      queueMicrotask(callback);
      return () => undefined;
    },
  };
  const price = { inputPerMillion: '1', outputPerMillion: '2' };
  const candidates = models.map((name) => ({
    reason: 'test',
    model: { metadata: { name, namespace: 'n' }, spec: { provider: 'simulated', price } } as unknown as ProviderModel,
  }));
  const all: Hooks = {
    journal: { begin: () => journal?.((answered) => void committed.push(answered)) ?? { type: 'off' } },
    router: { plan: () => ({ candidates, ...plan }) },
    limiter: {
      acquire: ({ candidate, number }) => {
        notes.push(`acquire ${candidate.model.metadata.name} ${number}`);
        return { release: ({ status, error }) => void notes.push(`release ${error?.code ?? status}`) };
      },
    },
    budgets: {
      reserve: () => {
        notes.push('reserve');
        return {
          settle: (record) => {
            notes.push('settle');
            recorded.push(record);
            return Promise.resolve();
          },
          cancel: () => {
            notes.push('cancel');
            return Promise.resolve();
          },
        };
      },
    },
    telemetry: {
      begin: () => ({
        replayed: () => void notes.push('replayed'),
        planned: () => undefined,
        attempt: () => ({ headers: () => ({}), firstContent: () => undefined, end: () => undefined }),
        end: ({ error }) => void notes.push(`end ${error?.code ?? 'ok'}`),
      }),
    },
    ...hooks,
  };
  const pipeline = createPipeline({
    hooks: all,
    keys: { of: () => Promise.resolve(undefined) },
    catalog: { provider: () => provider, close: () => Promise.resolve() },
    prices: createPriceBook(undefined, { info: () => undefined, error: () => undefined }),
    clock,
  });
  const controller = new AbortController();
  const callWith = (streamed: boolean): ChatCall => ({
    id: 'req_1',
    door: 'test',
    operation: 'chat',
    streamed,
    caller: { namespace: 'n', serviceAccount: 'agent-a', agent: 'a', uid: 'u' },
    request: { model: 'm', messages: user('hello'), sampling: {}, ...request },
    signal: controller.signal,
    headers: {},
    record: { startedAt: 0 } as RequestRecord,
    responseHeaders: {},
  });
  return { pipeline, notes, asked, recorded, committed, pauses, callWith, controller };
}

async function streamed(pipeline: Pipeline, call: ChatCall): Promise<ModelEvent[]> {
  const events: ModelEvent[] = [];
  for await (const event of await pipeline.stream(call)) events.push(event);
  return events;
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a call', () => {
  test('passes through all parts in their order, and is committed before it is answered', async () => {
    const { pipeline, notes, callWith, committed } = setUp({
      steps: [words('hi')],
      journal: keeping,
    });
    expect(await pipeline.generate(callWith(false))).toEqual(words('hi'));
    expect(notes).toEqual(['acquire m 1', 'reserve', 'provider', 'settle', 'release 200', 'end ok']);
    expect(committed).toEqual([{ chat: words('hi') }]);
  });

  test('that is streamed too: start, content, usage, finish, and all is settled before the end is said', async () => {
    const { pipeline, notes, callWith, committed } = setUp({
      steps: [words('hi', { id: 'c1' })],
      journal: keeping,
    });
    const seen: string[] = [];
    for await (const event of await pipeline.stream(callWith(true))) {
      seen.push(event.type);
      if (event.type === 'text') expect(notes).not.toContain('settle');
      if (event.type === 'usage') expect([notes.at(-2), committed.length]).toEqual(['settle', 1]);
    }
    expect(seen).toEqual(['start', 'text', 'usage', 'finish']);
    expect(committed).toEqual([{ chat: words('hi', { id: 'c1' }) }]);
  });

  test('that the journal knows asks nobody and costs nothing, and says that it is a replay', async () => {
    const known = setUp({ steps: [], journal: () => ({ type: 'replay', answered: { chat: words('hi') } }) });
    const whole = known.callWith(false);
    expect(await known.pipeline.generate(whole)).toEqual(words('hi'));
    expect((await streamed(known.pipeline, known.callWith(true))).map(({ type }) => type)).toEqual([
      'start',
      'text',
      'usage',
      'finish',
    ]);
    expect(whole.responseHeaders).toEqual({ 'kadre-replayed': 'true' });
    expect(known.notes).toEqual(['replayed', 'end ok', 'replayed', 'end ok']);
    expect(known.recorded).toEqual([]);
  });

  test.each([false, true])('whose answer the journal cannot keep is withheld (streamed: %s)', async (isStreamed) => {
    const { pipeline, callWith, notes } = setUp({
      steps: [words('hi')],
      journal: () => ({ type: 'record', commit: () => Promise.reject(new Error('disk full')), end: () => undefined }),
    });
    const call = callWith(isStreamed);
    const error = await failureOf(isStreamed ? streamed(pipeline, call) : pipeline.generate(call));
    expect(error).toMatchObject({ code: 'InternalError', retry: false });
    expect(notes).toContain('settle');
  });

  test('that a budget refuses gives its place back and asks nobody', async () => {
    const refusal = new GatewayError(403, 'LimitExceeded', 'no money');
    const { pipeline, callWith, notes } = setUp({
      steps: [],
      hooks: { budgets: { reserve: () => Promise.reject(refusal) } },
      models: ['a', 'b'],
    });
    expect(await failureOf(pipeline.generate(callWith(false)))).toBe(refusal);
    expect(notes).toEqual(['acquire a 1', 'release LimitExceeded', 'end LimitExceeded']);
  });

  test('asks for no more than its reservation covers', async () => {
    const reserve = () => ({ maxOutputTokens: 50, settle: () => Promise.resolve(), cancel: () => Promise.resolve() });
    const limits: (number | undefined)[] = [];
    for (const maxTokens of [undefined, 20, 80]) {
      const { pipeline, callWith, asked } = setUp({
        steps: [words('hi')],
        request: { sampling: maxTokens === undefined ? {} : { maxTokens } },
        hooks: { budgets: { reserve } },
      });
      await pipeline.generate(callWith(false));
      limits.push(asked[0]?.sampling.maxTokens);
    }
    expect(limits).toEqual([50, 20, 50]);
  });

  test('whose reader leaves early is settled', async () => {
    const { pipeline, callWith, recorded, notes } = setUp({ steps: [words('x'.repeat(40))] });
    for await (const event of await pipeline.stream(callWith(true))) if (event.type === 'text') break;
    expect(recorded).toMatchObject([{ id: 'req_1', outputTokens: 10 }]);
    expect(notes.filter((note) => note.startsWith('release'))).toEqual(['release Cancelled']);
  });

  test('that is opened and never read gives its place back and is settled', async () => {
    const unread: Strategy = {
      generate: () => Promise.reject(new Error('not asked')),
      embed: () => Promise.reject(new Error('not asked')),
      stream: async ({ candidates: [first] }, attempts) => {
        if (!first) throw new Error('nobody to ask');
        const leaves = await attempts.open(first);
        await leaves.return();
        return attempts.open(first);
      },
    };
    const { pipeline, callWith, notes, recorded } = setUp({
      steps: [words('left'), words('hi')],
      plan: { strategy: unread },
    });
    const text = (await streamed(pipeline, callWith(true))).flatMap((event) => ('text' in event ? [event.text] : []));
    expect(text).toEqual(['hi']);
    expect(notes.filter((note) => note.startsWith('release'))).toEqual(['release Cancelled', 'release 200']);
    expect(recorded).toHaveLength(2);
  });
});

describe('one candidate after the other', () => {
  test.each([false, true])(
    'the next one answers where one fails; what failed costs nothing (streamed: %s)',
    async (isStreamed) => {
      const { pipeline, callWith, notes, recorded } = setUp({ steps: [failed(503), words('hi')], models: ['a', 'b'] });
      const call = callWith(isStreamed);
      await (isStreamed ? streamed(pipeline, call) : pipeline.generate(call));
      expect(notes.slice(0, 8)).toEqual([
      'acquire a 1', 'reserve', 'provider', 'cancel', 'release ModelUnavailable', 'acquire b 2', 'reserve', 'provider',
    ]); // prettier-ignore
      expect(recorded).toMatchObject([{ id: 'req_1/2', model: 'b', costNanoUsd: 20_000 }]);
      expect(call.record).toMatchObject({ model: 'b', attempts: 2 });
    },
  );

  test('an attempt that broke off is paid for as well', async () => {
    const broken = new ProviderError('interrupted', 'cut', { usage: { ...noUsage, inputTokens: 10, outputTokens: 3 } });
    const { pipeline, callWith, recorded } = setUp({ steps: [broken, words('hi')], models: ['a', 'b'] });
    const { usage } = await pipeline.generate(callWith(false));
    expect(recorded.map(({ id, model, outputTokens }) => [id, model, outputTokens])).toEqual([
      ['req_1', 'a', 3],
      ['req_1/2', 'b', 5],
    ]);
    expect(usage).toMatchObject({ inputTokens: 20, outputTokens: 8 });
  });

  test('after the first piece of a stream there is no way back', async () => {
    const { pipeline, callWith, notes } = setUp({
      steps: [words('hal', { finish: 'stop' }), words('hi')],
      models: ['a', 'b'],
    });
    const events = await pipeline.stream(callWith(true));
    await events.next();
    await events.next();
    await expect(events.throw(new ProviderError('interrupted', 'cut'))).rejects.toThrow('cut');
    expect(notes.filter((note) => note === 'provider')).toHaveLength(1);
  });

  test('one after the other fails, and the last failure is told, without a round more', async () => {
    const { pipeline, callWith, asked } = setUp({ steps: [failed(503), failed(429, '7')], models: ['a', 'b'] });
    expect(await failureOf(pipeline.generate(callWith(false)))).toMatchObject({ status: 429, retryAfter: '7' });
    expect(asked).toHaveLength(2);
  });

  test('round again with a pause that the most eager of them asks for, as long as attempts are left', async () => {
    const { pipeline, callWith, pauses, notes } = setUp({
      steps: [failed(429, '3'), failed(429, '2'), words('hi')],
      models: ['a', 'b'],
      plan: { again: true },
    });
    await pipeline.generate(callWith(false));
    expect(pauses).toEqual([2_000]);
    expect(notes.filter((note) => note.startsWith('acquire'))).toEqual(['acquire a 1', 'acquire b 2', 'acquire a 3']);
  });

  test.each<[string, Step[], Partial<Plan>, number]>([
    ['no attempt is left', [failed(503), failed(503), failed(503), words('hi')], { again: true }, 3],
    ['fewer attempts were agreed', [failed(503), failed(503), words('hi')], { again: true, maxAttempts: 2 }, 2],
    ['the wait would be long', [failed(429, '120'), words('hi')], { again: true }, 1],
    ['the fault will not go away', [failed(401), words('hi')], { again: true }, 1],
  ])('not again where %s', async (_name, steps, plan, times) => {
    const { pipeline, callWith, asked } = setUp({ steps, plan });
    expect(await failureOf(pipeline.generate(callWith(false)))).toBeInstanceOf(GatewayError);
    expect(asked).toHaveLength(times);
  });
});

describe('an answer in a format', () => {
  const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 3 } }, required: ['n'] };
  const request = { output: { type: 'schema' as const, name: 'x', schema } };
  const answered = (text: string): Answer => words(text);

  test('that matches is passed on as it is', async () => {
    const { pipeline, callWith, asked } = setUp({ steps: [answered('{"n": 3}')], request });
    expect(await pipeline.generate(callWith(false))).toEqual(answered('{"n": 3}'));
    expect(asked[0]?.output).toEqual(request.output);
  });

  test('that does not is mended once, and both are paid for', async () => {
    const { pipeline, callWith, asked, recorded } = setUp({
      steps: [answered('{"n": 1}'), answered('{"n": 4}')],
      request,
    });
    const { parts, usage } = await pipeline.generate(callWith(false));
    expect(parts).toEqual([{ type: 'text', text: '{"n": 4}' }]);
    expect(usage).toMatchObject({ inputTokens: 20, outputTokens: 10 });
    expect(recorded.map(({ id }) => id)).toEqual(['req_1', 'req_1/2']);
    expect(JSON.stringify(asked[1]?.messages.slice(1))).toMatch(/"n\\": 1.*\/n must be >= 3/);
  });

  test('that cannot be mended fails as such', async () => {
    const { pipeline, callWith } = setUp({ steps: [answered('nope'), answered('{}')], request });
    const error = await failureOf(pipeline.generate(callWith(false)));
    expect(error).toMatchObject({ status: 502, code: 'InvalidOutput', retry: false });
    expect(String(error)).toContain("must have required property 'n'");
  });

  test('is mended within the attempts that are left', async () => {
    const { pipeline, callWith, asked } = setUp({
      steps: [answered('nope'), answered('{"n": 3}')],
      request,
      plan: { maxAttempts: 1 },
    });
    expect(await failureOf(pipeline.generate(callWith(false)))).toMatchObject({ code: 'InvalidOutput' });
    expect(asked).toHaveLength(1);
  });

  test('that is streamed is passed on, checked before its end, and paid for', async () => {
    const { pipeline, callWith, recorded } = setUp({ steps: [answered('{"n": 1}')], request });
    const events = await pipeline.stream(callWith(true));
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { type } of events) seen.push(type);
    };
    expect(await failureOf(read())).toMatchObject({ code: 'InvalidOutput' });
    expect(seen).toEqual(['start', 'text']);
    expect(recorded).toHaveLength(1);
  });

  test.each([false, true])(
    'is asked for in words where the provider cannot be held to it (streamed: %s)',
    async (isStreamed) => {
      const { pipeline, callWith, asked } = setUp({
        steps: [answered('Sure!'), answered('```json\n{"n": 3}\n```')],
        request,
        formatMode: 'instruction',
      });
      const call = callWith(isStreamed);
      const text = isStreamed
        ? (await streamed(pipeline, call)).flatMap((event) => (event.type === 'text' ? [event.text] : []))
        : (await pipeline.generate(call)).parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
      expect(text).toEqual(['{"n": 3}']);
      expect(asked[0]?.output).toEqual({ type: 'text' });
      expect(JSON.stringify(asked[0]?.messages[0])).toContain('minimum');
    },
  );

  test.each<[string, Answer]>([
    ['calls a tool', { parts: [{ type: 'toolCall', id: 'a', name: 'x', arguments: '{}' }], finish: 'toolCalls' }],
    ['is a refusal', { parts: [{ type: 'refusal', text: 'No.' }], finish: 'stop' }],
    ['was cut for length', words('{"n"', { finish: 'length' })],
  ])('that %s is no result, and is passed on', async (_name, answer) => {
    const { pipeline, callWith } = setUp({ steps: [answer], request });
    expect((await pipeline.generate(callWith(false))).parts).toEqual(answer.parts);
  });

  test.each<[string, object]>([
    ['is none', { type: 'wizard' }],
    ['leads elsewhere', { $ref: 'https://example.com/x' }],
    ['has a pattern that could hold everybody up', { type: 'string', pattern: '((a{1,999}){1,999})' }],
  ])('whose schema %s is refused before anybody is asked', async (_name, wrong) => {
    const { pipeline, callWith, asked } = setUp({
      steps: [],
      request: { output: { type: 'schema', name: 'x', schema: wrong as Record<string, unknown> } },
    });
    expect(await failureOf(pipeline.generate(callWith(false)))).toMatchObject({ status: 400 });
    expect(asked).toHaveLength(0);
  });
});
