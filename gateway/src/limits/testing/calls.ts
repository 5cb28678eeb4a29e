// A limiter over one Model, with a clock that stands still.
import type { ModelSpec, ProviderModel } from '@kadre/crds';
import type { Registry } from 'prom-client';
import { noUsage } from '../../conversation/answer.ts';
import type { ChatCall } from '../../pipeline/call.ts';
import type { Attempt, Lease, Outcome } from '../../pipeline/hooks.ts';
import { createLimiter } from '../limiter.ts';
import type { Share } from '../limits.ts';
import { HandClock } from './hand-clock.ts';

export const answered = (inputTokens = 1, outputTokens = 1, durationMs = 1_000): Outcome => ({
  status: 200,
  durationMs,
  usage: { ...noUsage, inputTokens, outputTokens },
});

interface Asked {
  namespace?: string;
  patienceMs?: number;
  inputTokens?: number;
  maxOutputTokens?: number;
  headers?: Record<string, string>;
  startedMsAgo?: number;
  model?: ProviderModel;
}

/** What came of a call by now. */
export interface Called {
  agent: string;
  lease?: Lease;
  error?: unknown;
  /** For the test's own notes. */
  over?: boolean;
  abort(reason: Error): void;
}

export function setUp(limits: ModelSpec['limits'], registry?: Registry) {
  const clock = new HandClock();
  const share: { now: Share } = { now: { rank: 0, of: 1 } };
  let generation = 0;
  let model: ProviderModel;
  let there = true;
  const change = (changed: ModelSpec['limits'], uid = 'u'): void => {
    generation += 1;
    const metadata = { namespace: 'n', name: 'm', uid, generation };
    const spec = { provider: 'simulated', ...(changed && { limits: changed }) };
    model = { metadata, spec } as unknown as ProviderModel;
  };
  change(limits);
  const limiter = createLimiter({
    models: { get: () => (there ? model : undefined), list: () => (there ? [model] : []) },
    clock,
    callMs: 600_000,
    share: () => share.now,
    registry,
    random: () => 0.5,
  });

  const attemptOf = (agent: string, asked: Asked, signal: AbortSignal): Attempt => ({
    call: {
      caller: { namespace: asked.namespace ?? 'n', agent },
      signal,
      headers: asked.headers ?? {},
      record: { startedAt: clock.now() - (asked.startedMsAgo ?? 0) },
    } as unknown as ChatCall,
    candidate: {
      model: asked.model ?? model,
      reason: 'test',
      ...(asked.patienceMs !== undefined && { patienceMs: asked.patienceMs }),
    },
    request: { model: 'm', messages: [], sampling: {} },
    number: 1,
    estimate: {
      inputTokens: asked.inputTokens ?? 1,
      maxInputTokens: 1,
      price: undefined,
      ...(asked.maxOutputTokens !== undefined && { maxOutputTokens: asked.maxOutputTokens }),
    },
  });

  const call = (agent: string, asked: Asked = {}): Called => {
    const controller = new AbortController();
    const called: Called = { agent, abort: (reason) => controller.abort(reason) };
    const admitted = (lease: Lease): void => void (called.lease = lease);
    const refused = (error: unknown): void => void (called.error = error);
    try {
      const acquired = limiter.acquire(attemptOf(agent, asked, controller.signal));
      if (acquired instanceof Promise) acquired.then(admitted, refused);
      else admitted(acquired);
    } catch (error) {
      refused(error);
    }
    return called;
  };

  const remove = (): void => void (there = false);
  return { limiter, clock, share, call, change, remove, model: () => model };
}
