// Agents of other frameworks are routed, budgeted, journaled and traced like Kadre's own.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { budgetAccount, type Budget, type ModelSpec } from '@kadre/crds';
import { startEngine } from '@kadre/engine';
import type { RunProjection } from '@kadre/store';
import { attemptSpanId, runTraceId, startTracing, type Tracing } from '@kadre/telemetry';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { NAMESPACE, researcher, startBed, until, type Bed } from '../gateway/bed.ts';
import { startWire, type Passage, type Wire } from '../runtime/runtime-process.ts';
import { startCollector, type Collector } from '../telemetry/bed.ts';
import { ensureFrameworks, EXAMPLES, foreignAgent, type ForeignAgent } from './foreign-agent.ts';

const frameworks = ['langgraph', 'crewai', 'agent-framework', 'llamaindex'];
const BROKE = 'broke';

const PAGE = join(import.meta.dirname, '..', '..', '..', 'docs', 'frameworks.md');

let folder: string;
let python: string;
let collector: Collector;
let tracing: Tracing;
let bed: Bed;
let wire: Wire;
/** What all agents may ask of elsewhere. */
let elsewhere: Server;
let asked: string[];
let agents: Map<string, ForeignAgent>;
let passage: Passage;
let runs = 0;
const stop = new AbortController();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-frameworks-'));
  python = await ensureFrameworks();
  collector = await startCollector();
  const logger = pino({ level: 'silent' });
  const service = { service: 'kadre', version: '1', instance: '0' };
  tracing = await startTracing({ endpoint: collector.url, sampleRatio: 1, ...service, logger, limits: { delayMs: 1 } });
  bed = await startBed({
    budgets: { list: () => frameworks.map(oneCallOf), ofAgent: () => undefined },
    spans: tracing.spans,
  });
  wire = await startWire(bed.url, () => passage);
  await watchElsewhere();
  agents = new Map(await Promise.all(frameworks.map(async (name) => [name, await start(name)] as const)));
  await startEngine({
    store: bed.store,
    agents: {
      resolve: (_, name) => {
        const url = agents.get(name)?.url;
        return url === undefined ? { found: false, serving: false } : { found: true, serving: true, url };
      },
    },
    logger,
    spans: tracing.spans,
    signal: stop.signal,
    limits: { poll: 50 },
  });
});
afterAll(async () => {
  stop.abort();
  await Promise.all([...agents.values()].map((agent) => agent.kill()));
  await wire.close();
  await bed.close();
  await tracing.stop();
  await collector.close();
  elsewhere.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  giveModels();
  passage = async (_request, forward) => {
    await forward();
  };
});

/** Counts words with the tool that all agents have. */
const counter: Partial<ModelSpec> = {
  price: { inputPerMillion: '1', outputPerMillion: '1' },
  simulated: {
    script: [
      { matchToolResult: '3', reply: 'It has $(toolResult) words.', usage: { inputTokens: 20, outputTokens: 5 } },
      {
        match: 'Count',
        toolCalls: [{ name: 'count_words', arguments: '{"text":"one two three"}' }],
        usage: { inputTokens: 10, outputTokens: 3 },
      },
    ],
  },
};

function giveModels(): void {
  bed.model('down', { simulated: { script: [{ error: { status: 503 } }] } });
  bed.model('up', counter);
  bed.model('smart', { route: { strategy: 'priority', candidates: [{ model: 'down' }, { model: 'up' }] } });
}

async function watchElsewhere(): Promise<void> {
  asked = [];
  elsewhere = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(502).end();
  });
  elsewhere.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  elsewhere.listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
}

async function start(framework: string, program?: string): Promise<ForeignAgent> {
  bed.tokens.set(`token-${framework}`, identityOf(framework));
  const proxy = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  const place = { namespace: NAMESPACE, folder, proxy, ...(program !== undefined && { program }) };
  const agent = await foreignAgent({ python, framework, gatewayUrl: wire.url, model: 'smart', ...place });
  await agent.start();
  return agent;
}

const identityOf = (agent: string) => ({
  ...researcher,
  serviceAccount: `agent-${agent}`,
  pod: `agent-${agent}-x2x2x`,
});

function oneCallOf(agent: string): Budget {
  const name = budgetName(agent);
  const metadata = {
    name,
    namespace: NAMESPACE,
    uid: name,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '',
  };
  const period = { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80 } as const;
  const spec = { ...period, limits: { requests: 1 }, scope: { agents: [agent], workflows: [BROKE] } };
  return { apiVersion: 'kadre.dev/v1alpha1', kind: 'Budget', metadata, spec };
}

const budgetName = (agent: string): string => `one-call-of-${agent}`;

const agentOf = (name: string): ForeignAgent => {
  const agent = agents.get(name);
  if (!agent) throw new Error(`there is no agent ${name}`);
  return agent;
};

interface Submission {
  subject?: string;
  isolation?: 'job';
  prompt?: string;
}

async function submit(framework: string, { subject = 'counting', ...more }: Submission = {}): Promise<string> {
  const uid = `run-${(runs += 1)}`;
  const steps = [{ name: 'ask', agent: { name: framework, prompt: 'Count the words of: one two three', ...more } }];
  await bed.store.submitRun({ uid, namespace: NAMESPACE, name: uid, subject, input: null, workflow: { steps } });
  return uid;
}

async function over(uid: string): Promise<RunProjection> {
  for (;;) {
    const projection = await bed.store.projection(uid);
    if (projection && ['Succeeded', 'Failed', 'Cancelled'].includes(projection.status.phase ?? '')) return projection;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const callsOf = async (uid: string): Promise<number[]> => (await bed.store.journalOf(uid)).map(({ call }) => call);

const PAID = { inputTokens: 30, outputTokens: 8, costNanoUsd: 38_000, unpricedCalls: 0 };

describe.each(frameworks)('an agent made with %s', (framework) => {
  test('answers a step with its tool, through a route, and what it uses counts for the step', async () => {
    const uid = await submit(framework);
    const { status, failure } = await over(uid);
    expect({ phase: status.phase, output: status.output, failure }).toEqual({
      phase: 'Succeeded',
      output: 'It has 3 words.',
      failure: undefined,
    });
    expect(await bed.store.usage(uid, 'ask', 1)).toEqual(PAID);
    expect(await callsOf(uid)).toEqual([1, 2]);
    const lines = bed.lines().filter(({ run }) => run === uid);
    const line = { agent: framework, step: 'ask', model: 'up', routedBy: 'smart', status: 200 };
    expect(lines).toMatchObject([line, line]);
  });

  test('is part of the trace of its run', async () => {
    const passed: (string | undefined)[] = [];
    passage = async ({ traceparent }, forward) => {
      passed.push(traceparent);
      await forward();
    };
    const uid = await submit(framework);
    await over(uid);
    const place = `00-${runTraceId(uid)}-${attemptSpanId(uid, 'ask', 1)}-01`;
    expect(passed).toEqual([place, place]);
    const chat = await collector.span(({ traceId, name }) => traceId === runTraceId(uid) && name === 'chat smart');
    expect(chat).toMatchObject({
      parentSpanId: attemptSpanId(uid, 'ask', 1),
      attributes: { 'kadre.agent': framework, 'kadre.run': uid },
    });
  });

  test('is refused the call that would pass a Budget, and its step says so', async () => {
    bed.model('smart', counter);
    const uid = await submit(framework, { subject: BROKE });
    const { status, failure } = await over(uid);
    expect([status.phase, failure?.reason]).toEqual(['Failed', 'BudgetExceeded']);
    expect(failure?.message).toContain(`No room is left for this call in Budget ${budgetName(framework)}`);
    expect(await callsOf(uid)).toEqual([1]);
    const account = { account: budgetAccount(NAMESPACE, budgetName(framework)), period: 'total' };
    expect(await bed.store.balances([account], Date.now())).toMatchObject([{ spent: { requests: 1 }, refusals: 1 }]);
  });

  test('pays nothing twice when it is killed and begun anew', async () => {
    const agent = agentOf(framework);
    const replayed: [string | undefined, boolean][] = [];
    let killed = false;
    passage = async ({ call }, forward) => {
      replayed.push([call, (await forward()).replayed]);
      if (call !== '2' || killed) return;
      killed = true;
      await agent.kill();
      await agent.start();
    };
    const uid = await submit(framework);
    const { status } = await over(uid);
    expect(status.output).toBe('It has 3 words.');
    expect(replayed).toEqual([
      ['1', false],
      ['2', false],
      ['1', true],
      ['2', true],
    ]);
    expect(await bed.store.usage(uid, 'ask', 1)).toEqual(PAID);
  });
});

test.each(['langgraph', 'crewai', 'agent-framework'])(
  'what %s asks again because the answer was lost keeps its number, and is not paid again',
  async (framework) => {
    const calls: [string | undefined, boolean][] = [];
    passage = async ({ call }, forward) => {
      calls.push([call, (await forward()).replayed]);
      if (calls.length === 1) throw new Error('the connection breaks');
    };
    const uid = await submit(framework);
    expect((await over(uid)).status.output).toBe('It has 3 words.');
    expect(calls).toEqual([
      ['1', false],
      ['1', true],
      ['2', false],
    ]);
    expect(await bed.store.usage(uid, 'ask', 1)).toEqual(PAID);
  },
);

test('one that is asked to do a step in a Job does it, and ends', async () => {
  const uid = await submit('langgraph', { isolation: 'job' });
  await until(async () => (await bed.store.openJobs()).length === 1);
  const [job] = await bed.store.openJobs();
  if (!job || !('agent' in job.work)) throw new Error('there is no Job of an agent');
  bed.tokens.set('token-langgraph-job', { ...identityOf('langgraph'), pod: `${job.name}-x2x2x` });
  await bed.store.jobCreated(job.key, 'job-uid');
  expect(await agentOf('langgraph').step(job.work.agent.stepToken)).toBe(0);
  expect((await over(uid)).status.output).toBe('It has 3 words.');
  expect(await callsOf(uid)).toEqual([1, 2]);
});

test('one whose run is cancelled stops, and hangs up', async () => {
  const { promise: hungUp, resolve } = Promise.withResolvers<boolean>();
  let reached = false;
  passage = async ({ gone }) => {
    reached = true;
    gone.addEventListener('abort', () => resolve(true), { once: true });
    await hungUp;
  };
  const uid = await submit('langgraph');
  await until(() => reached);
  await bed.store.cancelRun(uid, 'not needed any more');
  expect(await hungUp).toBe(true);
  expect((await over(uid)).status.phase).toBe('Cancelled');
});

describe('the page', () => {
  test('shows an agent of the examples', async () => {
    const examples = await readFile(join(EXAMPLES, 'agents.yaml'), 'utf8');
    for (const manifest of await blocks('yaml')) expect(examples).toContain(manifest);
  });

  test('shows a program that answers', async () => {
    const [source = ''] = await blocks('python');
    const program = join(folder, 'page.py');
    await writeFile(program, source);
    agents.set('page', await start('page', program));
    const { status } = await over(await submit('page', { prompt: 'Hello' }));
    expect(status.output).toBe('Hello');
  });
});

async function blocks(language: string): Promise<string[]> {
  const page = await readFile(PAGE, 'utf8');
  return [...page.matchAll(new RegExp(`\n\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block);
}

test.each(frameworks)('what %s needs is pinned', async (framework) => {
  const read = (file: string): Promise<string> => readFile(join(EXAMPLES, file), 'utf8');
  const names = `${await read(`${framework}/requirements.txt`)}${await read('shared/requirements.txt')}`
    .split('\n')
    .filter((line) => /^\w/.test(line))
    .map((line) => line.replace(/\[.*/, ''));
  const pinned = await read('constraints.txt');
  for (const name of names) expect(pinned).toMatch(new RegExp(`^${name}==`, 'm'));
});

test('none of them has asked anything of the world', () => {
  expect(asked).toEqual([]);
});
