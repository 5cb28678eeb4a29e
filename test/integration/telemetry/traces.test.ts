import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { STEP_HEADER, STEP_PATH, stepPayload } from '@kadre/crds';
import { mintStepToken, openSqliteStore, type Store } from '@kadre/store';
import { attemptSpanId, attribute, runSpanId, runTraceId, startTracing, type Tracing } from '@kadre/telemetry';
import pino from 'pino';
import { Registry } from 'prom-client';
import { CANARY, NAMESPACE, researcher, startBed, step, until, user, type Bed } from '../gateway/bed.ts';
import {
  killed,
  startAgent,
  startCollector,
  startEngineProcess,
  startUpstream,
  treeOf,
  type Collector,
  type SeenSpan,
  type Upstream,
} from './bed.ts';

/** What nobody but the model and the agent may see. */
const SAID = 'canary-of-the-conversation';
const logger = pino({ level: 'silent' });

let collector: Collector;
let upstream: Upstream;
beforeAll(async () => (collector = await startCollector()));
afterAll(() => collector.close());
beforeEach(async () => (upstream = await startUpstream(`answer ${SAID}`)));
afterEach(() => upstream.close());

const tracingTo = (endpoint: string, sampleRatio = 1, registry = new Registry()): Promise<Tracing> =>
  startTracing({
    ...{ endpoint, sampleRatio, service: 'kadre-gateway', version: '1', instance: 'gateway-0', logger, registry },
    limits: { delayMs: 1, sendMs: 200, queue: 100 },
  });

const of = (uid: string): SeenSpan[] => collector.spans.filter(({ traceId }) => traceId === runTraceId(uid));

const withModel = (bed: Bed): Bed => {
  const auth = { secretRef: { name: 'llm', key: 'key' } };
  const price = { inputPerMillion: '1000', outputPerMillion: '1000' };
  bed.model('m', { provider: 'openaiCompatible', model: 'm-upstream', baseUrl: upstream.url, auth, price });
  return bed;
};

describe('a Run', () => {
  let folder: string;
  let store: Store;
  let tracing: Tracing;
  let bed: Bed;
  let agent: Awaited<ReturnType<typeof startAgent>>;
  let engine: ChildProcess;
  const startEngine = async () =>
    (engine = await startEngineProcess(join(folder, 'kadre.db'), agent.url, collector.url));
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kadre-traces-'));
    store = openSqliteStore(join(folder, 'kadre.db'));
    tracing = await tracingTo(collector.url);
    bed = withModel(await startBed({ store, spans: tracing.spans }));
    agent = await startAgent(bed.url, `instructions ${SAID}`);
    await startEngine();
  });
  afterEach(async () => {
    await killed(engine);
    await agent.close();
    await bed.close();
    await tracing.stop();
    await store.close();
    await rm(folder, { recursive: true });
  });

  const ask = { agent: { name: 'researcher', prompt: `prompt ${SAID}` } };
  const submit = (uid: string, steps: unknown[]) =>
    store.submitRun({
      ...{ uid, namespace: NAMESPACE, name: 'report', subject: 'reporting', input: SAID },
      workflow: { steps },
    });

  test('is one trace from its beginning to the calls of providers, which says who, what and how much, but nothing that was said', async () => {
    const uid = 'traced-run';
    await submit(uid, [
      { name: 'one', ...ask },
      { name: 'two', needs: ['one'], ...ask },
    ]);
    await collector.span(({ spanId }) => spanId === runSpanId(uid));
    await until(() => of(uid).length === 7);
    expect(treeOf(of(uid))).toEqual([
      '- > invoke_workflow reporting',
      'chat m > attempt m',
      'chat m > attempt m',
      'invoke_agent researcher one > chat m',
      'invoke_agent researcher two > chat m',
      'invoke_workflow reporting > invoke_agent researcher one',
      'invoke_workflow reporting > invoke_agent researcher two',
    ]);

    const [one] = of(uid).filter(({ spanId }) => spanId === attemptSpanId(uid, 'one', 1));
    const call = of(uid).find(({ parentSpanId }) => parentSpanId === one?.spanId);
    const attempt = of(uid).find(({ parentSpanId }) => parentSpanId === call?.spanId);
    expect(upstream.asked[0]?.['traceparent']).toBe(`00-${runTraceId(uid)}-${attempt?.spanId ?? ''}-01`);
    expect(call).toMatchObject({
      kind: 'SPAN_KIND_CLIENT',
      failed: false,
      events: [],
      resource: { 'service.name': 'kadre-gateway', 'service.instance.id': 'gateway-0', 'service.version': '1' },
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai_compatible',
        'gen_ai.request.model': 'm',
        'gen_ai.request.stream': true,
        'gen_ai.usage.input_tokens': 11,
        'gen_ai.usage.output_tokens': 7,
        'kadre.cost_usd': 0.018,
        'kadre.namespace': NAMESPACE,
        'kadre.agent': 'researcher',
        'kadre.run': uid,
        'kadre.step': 'one',
        'kadre.attempt': 1,
        'kadre.candidates': ['m'],
      },
    });
    expect(call?.attributes['gen_ai.response.time_to_first_chunk']).toEqual(expect.any(Number));
    expect(attempt).toMatchObject({
      events: ['first_content'],
      attributes: { 'gen_ai.request.model': 'm-upstream', 'http.response.status_code': 200, 'kadre.attempt.number': 1 },
    });
    expect(attempt?.attributes).not.toHaveProperty(attribute.inputTokens);
    expect(one).toMatchObject({
      kind: 'SPAN_KIND_CLIENT',
      attributes: {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': 'researcher',
        'kadre.run.name': 'report',
      },
      resource: { 'service.name': 'kadre-engine' },
    });
    for (const { startMs, endMs } of of(uid)) expect(endMs).toBeGreaterThanOrEqual(startMs);

    const [line] = bed.lines().filter(({ step: id }) => id === 'one');
    expect(line).toMatchObject({ traceId: runTraceId(uid), run: uid });
    const told = JSON.stringify(collector.spans) + bed.log();
    for (const secret of [CANARY, SAID, 'token-a', 'k1.']) expect(told).not.toContain(secret);
  });

  test('has one trace too if its engine is killed on the way and another takes it over', async () => {
    const uid = 'orphaned-run';
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    upstream.before = () => (upstream.asked.length === 2 ? held : undefined);
    await submit(uid, [
      { name: 'one', ...ask },
      { name: 'two', needs: ['one'], ...ask },
    ]);
    await until(() => upstream.asked.length === 2);
    await collector.span(({ spanId }) => spanId === attemptSpanId(uid, 'one', 1));
    await killed(engine);
    await startEngine();
    release();
    await collector.span(({ spanId }) => spanId === runSpanId(uid));
    await until(() => of(uid).length === 7);
    expect(treeOf(of(uid)).filter((edge) => edge.startsWith('invoke_workflow'))).toEqual([
      'invoke_workflow reporting > invoke_agent researcher one',
      'invoke_workflow reporting > invoke_agent researcher two',
    ]);
    expect(new Set(of(uid).map(({ spanId }) => spanId)).size).toBe(7);
    const engines = of(uid).filter(({ resource }) => resource['service.name'] === 'kadre-engine');
    expect(new Set(engines.map(({ resource }) => resource['service.instance.id'])).size).toBe(2);
  });
});

describe('a call', () => {
  let beds: { bed: Bed; tracing: Tracing }[];
  beforeEach(() => void (beds = []));
  afterEach(async () => {
    for (const { bed, tracing } of beds) {
      await bed.close();
      await tracing.stop();
    }
  });

  const bedWith = async (tracing: Tracing): Promise<Bed> => {
    const bed = withModel(await startBed({ spans: tracing.spans }));
    beds.push({ bed, tracing });
    return bed;
  };

  const say = (bed: Bed, headers: Record<string, string>) =>
    bed.client('token-a', headers).chat.completions.create({ model: 'm', messages: user(SAID) });

  const stepToken = async (bed: Bed) => mintStepToken(await bed.store.secret('step-token'), step, Date.now() + 60_000);

  const strange = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
  const header = ({ traceId, spanId }: typeof strange, flags = '01') => `00-${traceId}-${spanId}-${flags}`;

  test('that is nobody’s step joins the trace that its caller brings, and hands on nothing else of it', async () => {
    const bed = await bedWith(await tracingTo(collector.url));
    await say(bed, { traceparent: header(strange), tracestate: 'a=b', baggage: `user=${SAID}` });
    const call = await collector.span(({ traceId, name }) => traceId === strange.traceId && name === 'chat m');
    expect(call.parentSpanId).toBe(strange.spanId);
    expect(upstream.asked[0]?.['traceparent']).toContain(`00-${strange.traceId}-`);
    expect(upstream.asked[0]).not.toHaveProperty('baggage');
    expect(upstream.asked[0]).not.toHaveProperty('tracestate');
  });

  test('for a step is in the trace of its run, whatever its caller says', async () => {
    const bed = await bedWith(await tracingTo(collector.url));
    const forged = { traceId: runTraceId('run-of-others'), spanId: runSpanId('run-of-others') };
    await say(bed, { [STEP_HEADER]: await stepToken(bed), traceparent: header(forged, '00') });
    const call = await collector.span(({ attributes }) => attributes['kadre.run'] === step.run);
    expect(call).toMatchObject({
      traceId: runTraceId(step.run),
      parentSpanId: attemptSpanId(step.run, step.step, step.attempt),
    });
    expect(of('run-of-others')).toEqual([]);
  });

  test('for a step stands below the span that its agent made in the trace of the run', async () => {
    const bed = await bedWith(await tracingTo(collector.url));
    const own = { traceId: runTraceId(step.run), spanId: 'aaaaaaaaaaaaaaaa' };
    await say(bed, { [STEP_HEADER]: await stepToken(bed), traceparent: header(own) });
    await collector.span(({ parentSpanId }) => parentSpanId === own.spanId);
  });

  test('of a Job stands below its step, for the Job is told so with what it has to do', async () => {
    const bed = await bedWith(await tracingTo(collector.url));
    const job = 'run-one-1234567890';
    bed.tokens.set('job-token', { ...researcher, pod: `${job}-x2x2x` });
    const token = mintStepToken(await bed.store.secret('step-token'), { ...step, job }, Date.now() + 60_000);
    const key = `${step.run}/${step.step}/${step.attempt}`;
    const run = { uid: step.run, namespace: NAMESPACE, name: 'run' };
    await bed.store.submitRun({ ...run, subject: 'w', workflow: {}, input: null });
    const payload = { run: step.run, step: step.step, attempt: step.attempt, prompt: 'x' };
    const work = { agent: { name: 'researcher', payload, stepToken: token } };
    const request = { key, run, step: step.step, attempt: step.attempt, name: job, work };
    await bed.store.append(step.run, 0, [{ at: 0, type: 'x', data: null }], { jobs: [request] });
    await bed.store.jobCreated(key, 'job-uid');
    const headers = { authorization: 'Bearer job-token', [STEP_HEADER]: token };
    const told = stepPayload.parse(await (await fetch(`${bed.url}${STEP_PATH}`, { headers })).json());
    expect(told.traceparent).toBe(`00-${runTraceId(step.run)}-${attemptSpanId(step.run, step.step, step.attempt)}-01`);
  });

  test('that fails says why, and not what the provider said about it', async () => {
    const bed = await bedWith(await tracingTo(collector.url));
    upstream.status = 500;
    const trace = { traceId: runTraceId('failing'), spanId: runSpanId('failing') };
    await expect(say(bed, { traceparent: header(trace) })).rejects.toThrow();
    const call = await collector.span(({ traceId, name }) => traceId === trace.traceId && name === 'chat m');
    expect(call).toMatchObject({ failed: true, message: '', attributes: { 'error.type': 'ModelUnavailable' } });
    expect(JSON.stringify(collector.spans)).not.toContain(SAID);
  });

  test('of a Model that is not there does not make the name of a span', async () => {
    const bed = await bedWith(await tracingTo(collector.url));
    const trace = { traceId: runTraceId('nowhere'), spanId: runSpanId('nowhere') };
    const client = bed.client('token-a', { traceparent: header(trace) });
    await expect(client.chat.completions.create({ model: SAID, messages: user('x') })).rejects.toThrow();
    const call = await collector.span(({ traceId }) => traceId === trace.traceId);
    expect(call).toMatchObject({ name: 'chat', attributes: { 'error.type': 'ModelNotFound' } });
    expect(JSON.stringify(call)).not.toContain(SAID);
  });

  test.each([
    ['nothing is sampled', 0, header({ ...strange, traceId: 'f'.repeat(32) })],
    ['its caller wants no trace', 1, header({ ...strange, traceId: 'e'.repeat(32) }, '00')],
  ])('leaves no span if %s, and tells the provider so', async (_, ratio, traceparent) => {
    const tracing = await tracingTo(collector.url, ratio);
    const bed = await bedWith(tracing);
    await say(bed, { traceparent });
    await tracing.stop();
    expect(upstream.asked[0]?.['traceparent']).toMatch(/-00$/);
    expect(collector.spans.filter(({ traceId }) => traceparent.includes(traceId))).toEqual([]);
    expect(bed.lines().at(-1)).not.toHaveProperty('traceId');
  });

  test('does not wait for a collector that hangs, nor for one that is not there', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    for (const endpoint of [`http://127.0.0.1:${port}`, 'http://127.0.0.1:1']) {
      const registry = new Registry();
      const bed = await bedWith(await tracingTo(endpoint, 1, registry));
      // More than there is room for.
      const calls = Array.from({ length: 120 }, () => say(bed, {}));
      expect(new Set((await Promise.all(calls)).map(({ model }) => model))).toEqual(new Set(['m']));
      const dropped = registry.getSingleMetric('kadre_telemetry_dropped_total');
      await until(async () => (await dropped?.get())?.values.some(({ value }) => value > 0) === true);
    }
    silent.closeAllConnections();
    silent.close();
  });
});
