// Whatever fails on the way: attempts stay within their number, all that was begun is settled, and one decision is kept.
import { expect, test } from '@jest/globals';
import { routeStrategies, type Model, type RouteStrategy } from '@kadre/crds';
import type { Decision } from '@kadre/store';
import fc from 'fast-check';
import { eventsOf, noUsage, type Answer } from '../conversation/answer.ts';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';
import type { ChatCall } from '../pipeline/call.ts';
import type { Hooks } from '../pipeline/hooks.ts';
import { createPipeline } from '../pipeline/pipeline.ts';
import { createPriceBook } from '../price/price.ts';
import { ProviderError, type Provider } from '../providers/provider.ts';
import type { RequestRecord } from '../requests.ts';
import { createDecisionLog } from './decision-log.ts';
import { createObservations, observed } from './observations.ts';
import { createRouter } from './router.ts';

type Step = 'answers' | 'judges' | 'sorts' | 'fails' | 'slows' | 'refuses' | 'breaks' | 'hangs';
const steps: Step[] = ['answers', 'judges', 'sorts', 'fails', 'slows', 'refuses', 'breaks', 'hangs'];

const texts: Partial<Record<Step, string>> = {
  judges: '{"votes":[{"answer":"A","score":9,"reason":"r"}],"best":"B","reason":"r"}',
  sorts: '{"path":"speed","reason":"r"}',
};
const errors: Partial<Record<Step, ProviderError>> = {
  fails: new ProviderError('status', 'no', { status: 500 }),
  slows: new ProviderError('status', 'no', { status: 429, retryAfter: '1' }),
  refuses: new ProviderError('status', 'no', { status: 400 }),
  breaks: new ProviderError('interrupted', 'broke off'),
};

function setUp(strategy: RouteStrategy, plan: readonly Step[], maxAttempts: number | undefined) {
  const counts = { leases: 0, released: 0, reserved: 0, closed: 0, asked: 0 };
  const recorded: Decision[] = [];
  let turn = 0;
  const answer = (step: Step): Answer => ({
    parts: [{ type: 'text', text: texts[step] ?? `answer ${turn}` }],
    finish: 'stop',
    usage: { ...noUsage, inputTokens: 1, outputTokens: 1 },
  });
  const next = async (signal: AbortSignal): Promise<Answer> => {
    counts.asked += 1;
    const step = plan[turn++ % plan.length] ?? 'answers';
    const error = errors[step];
    if (error) throw error;
    if (step === 'hangs') {
      // As long as patience lasts, or for a moment.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
    return answer(step);
  };
  const provider: Provider = {
    check: () => undefined,
    formatMode: () => 'native',
    generate: ({ signal }) => next(signal),
    stream: async function* ({ signal }) {
      yield* eventsOf(await next(signal));
    },
  };
  const clock: Clock = {
    now: () => 1_000,
    after: (_ms, callback) => {
      const timer = setImmediate(callback);
      return () => clearImmediate(timer);
    },
  };
  const meta = (name: string) => ({ name, namespace: 'n', uid: name, generation: 1 });
  const paths = ['speed', 'quality', 'reliability'];
  const candidates = ['a', 'b', 'c'].map((model, index) => ({
    model,
    ...(strategy === 'weighted' && { weight: index }),
    ...(strategy === 'complexity' && { path: paths[index] }),
  }));
  const route = {
    strategy,
    candidates,
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(strategy === 'complexity' && { complexity: { classifier: { model: 'small' } } }),
    ...(strategy === 'consensus' && { consensus: { judge: 'wise', patience: '1s' } }),
  };
  const models = new Map<string, Model>(
    ['a', 'b', 'c', 'small', 'wise'].map((name) => [
      name,
      { metadata: meta(name), spec: { provider: 'openai', model: name } } as unknown as Model,
    ]),
  );
  models.set('any', { metadata: meta('any'), spec: { route } } as unknown as Model);
  const catalog = { provider: () => provider, close: () => Promise.resolve() };
  const prices = createPriceBook(undefined, { info: () => undefined, error: () => undefined });
  const observations = createObservations(clock);
  const decisions = createDecisionLog({
    store: { recordDecisions: (all) => Promise.resolve(void recorded.push(...all)) },
    clock,
    logger: { warn: () => undefined },
  });
  const source = { get: (_namespace: string, name: string) => models.get(name), list: () => [] };
  const close = (): Promise<void> => Promise.resolve(void (counts.closed += 1));
  const limiter: Hooks['limiter'] = {
    acquire: () => {
      counts.leases += 1;
      return { release: () => void (counts.released += 1) };
    },
  };
  const hooks: Hooks = {
    journal: { begin: () => ({ type: 'off' }) },
    router: createRouter({
      models: source,
      catalog,
      prices,
      clock,
      limiter,
      observations,
      decisions,
      random: () => 0.4,
    }),
    limiter: observed(limiter, observations),
    budgets: {
      reserve: () => {
        counts.reserved += 1;
        return { settle: close, cancel: close };
      },
    },
    telemetry: {
      begin: () => ({
        replayed: () => undefined,
        planned: () => undefined,
        attempt: () => ({ headers: () => ({}), firstContent: () => undefined, end: () => undefined }),
        end: () => undefined,
      }),
    },
  };
  const pipeline = createPipeline({ hooks, keys: { of: () => Promise.resolve(undefined) }, catalog, prices, clock });
  return { counts, recorded, decisions, pipeline };
}

const callFor = (streamed: boolean): ChatCall => ({
  id: 'req_1',
  door: 'test',
  operation: 'chat',
  streamed,
  caller: { namespace: 'n', serviceAccount: 'agent-a', agent: 'a', uid: 'u' },
  request: { model: 'any', messages: [{ role: 'user', parts: [{ type: 'text', text: 'hello' }] }], sampling: {} },
  signal: new AbortController().signal,
  headers: {},
  record: { startedAt: 0 } as RequestRecord,
  responseHeaders: {},
});

/** The most that each may ask, with so many set and three candidates. */
const most: Record<RouteStrategy, (max: number | undefined) => number> = {
  priority: (max = 3) => max,
  cheapest: (max = 3) => max,
  fastest: (max = 3) => max,
  weighted: (max = 3) => max,
  complexity: (max = 5) => max,
  consensus: (max = 3) => Math.max(max, 6),
  compare: (max = 3) => Math.max(max, 3),
};

test.each(routeStrategies)('%s', async (strategy) => {
  const play = fc.asyncProperty(
    fc.array(fc.constantFrom(...steps), { minLength: 1, maxLength: 8 }),
    fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
    fc.boolean(),
    async (plan, maxAttempts, streamed) => {
      const { counts, recorded, decisions, pipeline } = setUp(strategy, plan, maxAttempts);
      const call = callFor(streamed);
      const outcome = await (async () => {
        if (!streamed) return pipeline.generate(call);
        for await (const event of await pipeline.stream(call)) if (event.type === 'finish') return event;
        return undefined;
      })().catch((error: unknown) => error);
      await decisions.close();
      expect(outcome instanceof Error ? outcome : new GatewayError(500, 'InternalError', '')).toBeInstanceOf(
        GatewayError,
      );
      expect(outcome).toBeDefined();
      expect(outcome).not.toMatchObject({ code: 'InternalError' });
      expect(counts.asked).toBeLessThanOrEqual(most[strategy](maxAttempts));
      expect(counts).toMatchObject({ released: counts.leases, closed: counts.reserved });
      expect(recorded).toHaveLength(1);
      expect(recorded[0]?.chosen === undefined).toBe(outcome instanceof Error);
      expect(JSON.stringify(recorded[0]).length).toBeLessThan(20_000);
    },
  );
  await fc.assert(play, { numRuns: 60 });
});
