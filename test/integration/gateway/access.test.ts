// Who may do what at the gateway, over HTTP.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CALL_HEADER, STEP_HEADER, STEP_PATH, STEP_RESULT_PATH, TOOL_CALL_PATH, TOOLS_PATH } from '@kadre/crds';
import { mintStepToken, type JobRequest, type StepClaims } from '@kadre/store';
import { Registry } from 'prom-client';
import { CANARY, NAMESPACE, researcher, startBed, step, usageOf, user, type Bed } from './bed.ts';

const job = { name: 'run-1-train-1', key: 'run-1/research/1' };
const pod = `${job.name}-x7x7x`;

let bed: Bed;
beforeEach(async () => {
  bed = await startBed({ registry: new Registry() });
  bed.model('echo', { price: { inputPerMillion: '1', outputPerMillion: '1' } });
});
afterEach(() => bed.close());

const tokenFor = async (claims: Partial<StepClaims>, expiresAt = Date.now() + 60_000): Promise<string> =>
  mintStepToken(await bed.store.secret('step-token'), { ...step, ...claims }, expiresAt);

interface Reply {
  status: number;
  body: { error?: { code: string; message: string; type: string } } & Record<string, unknown>;
}

async function send(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Reply> {
  const response = await fetch(`${bed.url}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Reply['body'] };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

describe('without a valid token', () => {
  const routes = [
    ['POST', '/v1/chat/completions'],
    ['POST', '/v1/responses'],
    ['POST', '/v1/messages'],
    ['POST', '/v1/embeddings'],
    ['GET', '/v1/models'],
    ['GET', STEP_PATH],
    ['POST', STEP_RESULT_PATH],
  ] as const;
  const credentials: [string, Record<string, string>][] = [
    ['no header', {}],
    ['another scheme', { authorization: 'Basic dG9rZW4tYQ==' }],
    ['an unknown token', { authorization: 'Bearer nobody' }],
    ['an endless token', { authorization: `Bearer ${'x'.repeat(9000)}` }],
  ];
  test.each(
    routes.flatMap(([method, path]) => credentials.map(([name, headers]) => [method, path, name, headers] as const)),
  )('%s %s refuses %s', async (method, path, _name, headers) => {
    const reply = await send(method, path, headers, method === 'POST' ? {} : undefined);
    expect(reply.status).toBe(401);
    expect(reply.body.error).toMatchObject({ type: 'authentication_error', code: 'Unauthorized' });
  });

  test('only the probes answer', async () => {
    expect((await send('GET', '/healthz', {})).status).toBe(200);
    expect((await send('GET', '/readyz', {})).status).toBe(200);
  });
});

describe('a step token', () => {
  const chat = (headers: Record<string, string>): Promise<Reply> =>
    send('POST', '/v1/chat/completions', headers, { model: 'echo', messages: user('x'.repeat(40)) });

  test('has the call counted for its step', async () => {
    const reply = await chat({ ...bearer('token-a'), [STEP_HEADER]: await tokenFor({}) });
    expect(reply.status).toBe(200);
    expect(await usageOf(bed)).toMatchObject({ inputTokens: 10, outputTokens: 10, costNanoUsd: 20_000 });
    expect(bed.lines().at(-1)).toMatchObject({ run: 'run-1', step: 'research', attempt: 1 });
  });

  test('is not needed, and then nothing is counted for a step', async () => {
    expect((await chat(bearer('token-a'))).status).toBe(200);
    expect(await usageOf(bed)).toMatchObject({ inputTokens: 0 });
  });

  test.each([
    ['of another namespace', { namespace: 'team-b' }, 403],
    ['of another agent', { agent: 'writer' }, 403],
  ])('%s is refused', async (_name, claims, status) => {
    const reply = await chat({ ...bearer('token-a'), [STEP_HEADER]: await tokenFor(claims) });
    expect(reply).toMatchObject({ status, body: { error: { code: 'Unauthorized' } } });
  });

  test('that is over or forged is refused', async () => {
    for (const token of [await tokenFor({}, Date.now() - 1), `${await tokenFor({})}x`, 'k1.e30.AA', 'rubbish', '']) {
      const reply = await chat({ ...bearer('token-a'), [STEP_HEADER]: token });
      expect(reply).toMatchObject({ status: 401, body: { error: { code: 'Unauthorized' } } });
    }
  });

  test('tells the agent where several share an account that a user named', async () => {
    bed.tokens.set('shared', { ...researcher, serviceAccount: 'data-access' });
    await chat({ ...bearer('shared'), [STEP_HEADER]: await tokenFor({ agent: 'writer' }) });
    await chat(bearer('shared'));
    expect(bed.lines().map(({ agent }) => agent)).toEqual(['writer', 'data-access']);
  });
});

describe('the token of an engine', () => {
  const asEngine = async (claims: Partial<StepClaims> = {}): Promise<Record<string, string>> => ({
    [STEP_HEADER]: await tokenFor({ agent: '', engine: true, ...claims }),
    [CALL_HEADER]: '1',
  });
  const search = { name: 'search', arguments: '{}' };

  test('needs no other one, and is let through to tools', async () => {
    const reply = await send('POST', TOOL_CALL_PATH, await asEngine(), search);
    expect(reply).toMatchObject({ status: 200, body: { isError: true, reason: 'ToolFailed' } });
    expect(bed.lines().at(-1)).toMatchObject({ run: 'run-1', step: 'research', namespace: NAMESPACE });
  });

  test.each([
    ['POST', '/v1/chat/completions'],
    ['GET', '/v1/models'],
    ['GET', STEP_PATH],
    ['POST', STEP_RESULT_PATH],
    ['GET', TOOLS_PATH],
  ])('opens %s %s not even beside the token of an agent', async (method, path) => {
    const headers = { ...(await asEngine({ job: job.name })), ...bearer('token-a') };
    const reply = await send(method, path, headers, method === 'POST' ? {} : undefined);
    expect(reply).toMatchObject({ status: 403, body: { error: { code: 'Unauthorized' } } });
  });

  test('that is over or forged is refused', async () => {
    const over = await tokenFor({ agent: '', engine: true }, Date.now() - 1);
    for (const token of [over, `${await tokenFor({ engine: true })}x`]) {
      expect((await send('POST', TOOL_CALL_PATH, { [STEP_HEADER]: token }, search)).status).toBe(401);
    }
  });
});

describe('a step in a Job', () => {
  const payload = { run: step.run, step: step.step, attempt: step.attempt, prompt: 'Find facts.', input: { n: 5.5 } };
  let stepToken: string;
  let headers: Record<string, string>;

  beforeEach(async () => {
    stepToken = await tokenFor({ job: job.name });
    headers = { ...bearer('job-token'), [STEP_HEADER]: stepToken };
    bed.tokens.set('job-token', { ...researcher, pod });
    await bed.store.submitRun({
      uid: step.run,
      namespace: NAMESPACE,
      name: 'run',
      subject: 'w',
      workflow: {},
      input: null,
    });
    const request: JobRequest = {
      ...job,
      run: { uid: step.run, namespace: NAMESPACE, name: 'run' },
      step: step.step,
      attempt: step.attempt,
      work: { agent: { name: 'researcher', payload, stepToken } },
    };
    await bed.store.append(step.run, 0, [{ at: 0, type: 'x', data: null }], { jobs: [request] });
    await bed.store.jobCreated(job.key, 'job-uid');
  });

  test('learns what to do, and reports once: the first report counts', async () => {
    expect(await send('GET', STEP_PATH, headers)).toEqual({ status: 200, body: payload });
    const report = (output: string): Promise<Reply> => send('POST', STEP_RESULT_PATH, headers, { output });
    expect(await report('first')).toEqual({ status: 200, body: { recorded: true } });
    expect(await report('second')).toEqual({ status: 200, body: { recorded: false } });
    expect((await bed.store.job(job.key))?.outcome).toEqual({ output: 'first' });
    expect(await send('GET', STEP_PATH, headers)).toMatchObject({
      status: 410,
      body: { error: { code: 'Cancelled' } },
    });
  });

  test('reports a failure with its reason', async () => {
    const failure = { reason: 'InvalidOutput', message: 'no score' };
    expect((await send('POST', STEP_RESULT_PATH, headers, { failure })).status).toBe(200);
    expect((await bed.store.job(job.key))?.outcome).toEqual({ failure });
  });

  test.each([
    ['nothing', {}],
    ['an unknown reason', { failure: { reason: 'Tired', message: 'x' } }],
    ['a message that is too long', { failure: { reason: 'AgentFailed', message: 'x'.repeat(10_000) } }],
    ['a list', []],
  ])('a report of %s is refused and changes nothing', async (_name, body) => {
    expect(await send('POST', STEP_RESULT_PATH, headers, body)).toMatchObject({ status: 400 });
    expect((await bed.store.job(job.key))?.state).toBe('created');
  });

  test("is nobody else's business", async () => {
    bed.tokens.set('other-pod', { ...researcher, pod: 'run-1-train-1-b-x7x7x' });
    bed.tokens.set('no-pod', { namespace: NAMESPACE, serviceAccount: 'agent-researcher', uid: 'sa-1' });
    const attempts: [Record<string, string>, number][] = [
      [bearer('job-token'), 401],
      [{ ...bearer('other-pod'), [STEP_HEADER]: stepToken }, 403],
      [{ ...bearer('no-pod'), [STEP_HEADER]: stepToken }, 403],
      [{ ...bearer('job-token'), [STEP_HEADER]: await tokenFor({}) }, 403],
      [{ ...bearer('job-token'), [STEP_HEADER]: await tokenFor({ job: job.name, attempt: 2 }) }, 404],
    ];
    for (const [credentials, status] of attempts) {
      expect(await send('GET', STEP_PATH, credentials)).toMatchObject({ status });
      expect(await send('POST', STEP_RESULT_PATH, credentials, { output: 'mine' })).toMatchObject({ status });
    }
    expect((await bed.store.job(job.key))?.state).toBe('created');
  });
});

test('metrics count calls, tokens and money, and know no prompt', async () => {
  const body = { model: 'echo', messages: user(`${CANARY} ${'x'.repeat(40)}`) };
  await send('POST', '/v1/chat/completions', bearer('token-a'), body);
  await send('POST', '/v1/chat/completions', bearer('token-a'), { ...body, model: 'nobody' });
  const metrics = await (await fetch(`${bed.url}/metrics`)).text();
  expect(metrics).toContain('kadre_gateway_requests_total{namespace="team-a",model="echo",code="200"} 1');
  expect(metrics).toContain('kadre_gateway_requests_total{namespace="team-a",model="",code="ModelNotFound"} 1');
  expect(metrics).toContain('kadre_gateway_tokens_total{namespace="team-a",model="echo",type="input"} 15');
  expect(metrics).toContain('kadre_gateway_cost_usd_total{namespace="team-a",model="echo"} 0.00003');
  expect(metrics + bed.log()).not.toContain(CANARY);
  expect(bed.log()).not.toContain('token-a');
});

test('says that it is not ready while what it rests on is not', async () => {
  await bed.close();
  let ready = false;
  bed = await startBed({ ready: () => ready });
  expect((await send('GET', '/readyz', {})).status).toBe(503);
  ready = true;
  expect((await send('GET', '/readyz', {})).status).toBe(200);
});

test('an API server that does not answer is not taken for a bad token', async () => {
  await bed.close();
  bed = await startBed({ authenticate: () => Promise.reject(new Error('connection refused to https://10.0.0.1')) });
  const reply = await send('GET', '/v1/models', bearer('token-a'));
  expect(reply).toMatchObject({ status: 503, body: { error: { code: 'InternalError' } } });
  expect(JSON.stringify(reply)).not.toContain('10.0.0.1');
  expect(bed.log()).toContain('connection refused');
});
