// Tools that are Workflows: a real gateway and a real engine on one store. The operator, which makes the Runs, is played here;
// that it makes each once is tested with a real API server.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Workflow, WorkflowSpec } from '@kadre/crds';
import { startEngine, type Engine } from '@kadre/engine';
import pino from 'pino';
import { NAMESPACE, step, until } from './bed.ts';
import { startToolBed, type ToolBed } from './tool-bed.ts';

let bed: ToolBed;
let workflows: Map<string, WorkflowSpec>;
let engine: Engine;
let stop: AbortController;
let operator: () => void;

beforeEach(async () => {
  workflows = new Map();
  bed = await startToolBed({
    workflows: {
      get: (namespace, name) => {
        const spec = namespace === NAMESPACE ? workflows.get(name) : undefined;
        return spec && ({ metadata: { name, namespace }, spec } as unknown as Workflow);
      },
    },
  });
  await bed.store.submitRun({
    ...{ uid: step.run, namespace: NAMESPACE, name: 'monthly', subject: 'report', requestedBy: 'alice' },
    ...{ workflow: { steps: [{ name: step.step, wait: { for: '1h' } }] }, input: null },
  });
  stop = new AbortController();
  engine = await startEngine({
    store: bed.store,
    agents: { resolve: () => ({ found: false, serving: false }) },
    gateway: () => Promise.resolve(bed.url),
    logger: pino({ level: 'silent' }),
    signal: stop.signal,
    limits: { poll: 50 },
  });
  operator = bed.store.subscribe('run-requests', (key) => void fulfil(key));
});
afterEach(async () => {
  operator();
  stop.abort();
  await engine.stopped;
  await bed.close();
});

const made = (): Promise<string[]> => Promise.resolve([...submitted]);
let submitted: Set<string>;
beforeEach(() => {
  submitted = new Set();
});

/** As the operator does. */
async function fulfil(key: string): Promise<void> {
  const { store } = bed;
  const record = await store.runRequest(key);
  if (!record) return;
  const { name, namespace, spec, state, cancelled, uid = '' } = record;
  if (cancelled && state === 'made') return store.cancelRun(uid, 'It is wanted no more.');
  if (state !== 'requested' || submitted.has(name)) return;
  submitted.add(name);
  const workflow = workflows.get(spec.workflow?.name ?? '');
  if (!workflow || JSON.stringify(spec.input).includes('late'))
    return store.endRunRequest(key, { reason: 'WorkflowNotFound', message: 'It is gone.' });
  await store.runRequestMade(key, `uid-${name}`);
  const { requestedBy = 'nobody', input } = spec;
  await store.submitRun({ uid: `uid-${name}`, namespace, name, subject: 'report', workflow, input, requestedBy });
}

const steps = (value: unknown): WorkflowSpec => ({ steps: [{ name: 'say', value }] });
const slow = { steps: [{ name: 'wait', wait: { for: '1h' } }] } as unknown as WorkflowSpec;
const offer = (workflow: WorkflowSpec, more: object = {}): void => {
  workflows.set('report', workflow);
  bed.tool('report', { workflow: { name: 'report' }, ...more });
};
const call = (args: unknown = {}, more: object = {}) => bed.call({ name: 'report', args, call: 1, ...more });

describe('a Tool that is a Workflow', () => {
  test('is offered with what the Workflow takes and says of itself', async () => {
    const schema = { type: 'object', properties: { topic: { type: 'string' } }, required: ['topic'] };
    offer({ ...steps(1), description: 'Writes a report.', input: { schema } });
    const { tools } = await bed.list();
    expect(tools).toMatchObject([{ name: 'report', description: 'Writes a report.', inputSchema: schema }]);
    const refused = await call({ topic: 7 });
    expect(refused.result).toMatchObject({ isError: true, reason: 'InvalidInput' });
    expect(await made()).toEqual([]);
  });

  test('is left out while the Workflow is not there', async () => {
    bed.tool('report', { workflow: { name: 'other' } });
    expect(await bed.list()).toMatchObject({ names: [], leftOut: 'report' });
    expect((await call()).text).toContain('it does not say what it offers');
  });

  test.each<[string, unknown, string]>([
    ['data', { title: '$(input.topic)', n: '$(1 + 1)' }, '{"title":"Kadre","n":2}'],
    ['a text', 'about $(input.topic)', 'about Kadre'],
  ])('answers with the output of its Run: %s', async (_, value, text) => {
    offer(steps(value));
    const reply = await call({ topic: 'Kadre' });
    expect(reply).toMatchObject({ status: 200, text, result: { isError: false } });
  });

  test('is run on behalf of whoever asked for the run that calls it', async () => {
    offer(slow, { timeout: '1s' });
    await call();
    const [name = ''] = await made();
    expect(await bed.store.requestOfRun(`uid-${name}`)).toMatchObject({
      parent: { run: step.run, name: 'monthly', step: step.step, attempt: step.attempt },
      depth: 1,
      spec: { workflow: { name: 'report' }, requestedBy: 'alice' },
    });
  });

  test('is run once for each call, however often that is made', async () => {
    offer(steps('$(input)'));
    const replies = await Promise.all(Array.from({ length: 6 }, () => call({ n: 1 })));
    expect(new Set(replies.map(({ text }) => text))).toEqual(new Set(['{"n":1}']));
    expect(await made()).toHaveLength(1);
    await call({ n: 2 }, { call: 2 });
    expect(await made()).toHaveLength(2);
  });

  test('is joined by a step that lost the connection and asks again', async () => {
    offer({ steps: [{ name: 'wait', wait: { event: { name: 'paid' } } }] });
    const gone = new AbortController();
    const lost = call({}, { signal: gone.signal }).catch(() => undefined);
    await until(() => submitted.size === 1);
    gone.abort();
    await lost;
    await until(async () => (await bed.store.projection(`uid-${[...submitted][0] ?? ''}`))?.status.phase === 'Waiting');
    const again = call();
    await bed.store.publishEvent({
      id: 'e',
      namespace: NAMESPACE,
      name: 'paid',
      payload: { by: 'bob' },
      at: Date.now(),
    });
    expect((await again).result.isError).toBe(false);
    expect(await made()).toHaveLength(1);
  });

  test('tells why its Run failed, and why none could be made', async () => {
    offer({ steps: [{ name: 'no', fail: 'No such topic.' }] });
    expect((await call()).text).toMatch(/failed \(Refused\): .*No such topic/);
    const { text } = await call({ late: true }, { call: 2 });
    expect(text).toMatch(/failed \(WorkflowNotFound\): It is gone/);
  });

  test('that is not over in time fails, and its Run is cancelled', async () => {
    offer(slow, { timeout: '1s' });
    const reply = await call();
    expect(reply).toMatchObject({ result: { isError: true, reason: 'ToolFailed' } });
    expect(reply.text).toContain('was not over in time, and is cancelled');
    const [name = ''] = await made();
    await until(async () => (await bed.store.projection(`uid-${name}`))?.status.phase === 'Cancelled');
  });

  test('is called outside of runs, too; whoever hangs up there has its Run cancelled', async () => {
    offer(steps('$(input.n)'));
    expect((await call({ n: 3 }, { call: undefined })).text).toBe('3');
    offer(slow);
    const gone = new AbortController();
    const lost = call({}, { call: undefined, signal: gone.signal }).catch(() => undefined);
    await until(() => submitted.size === 2);
    gone.abort();
    await lost;
    const name = [...submitted].at(-1) ?? '';
    expect((await bed.store.requestOfRun(`uid-${name}`))?.parent).toBeUndefined();
    await until(async () => (await bed.store.projection(`uid-${name}`))?.status.phase === 'Cancelled');
  });

  test('ends with the attempt that has called it, while the run goes on', async () => {
    offer(slow);
    const impatient = { name: 'ask', tool: { name: 'report' }, timeout: '1s', onError: { continue: true } };
    const later = { name: 'later', needs: ['ask'], wait: { for: '1h' } };
    await bed.store.submitRun({
      ...{ uid: 'u2', namespace: NAMESPACE, name: 'weekly', subject: 'report', input: null },
      workflow: { steps: [impatient, later] },
    });
    await until(() => submitted.size === 1);
    const child = `uid-${[...submitted][0] ?? ''}`;
    await until(async () => (await bed.store.projection(child))?.status.phase === 'Cancelled');
    expect((await bed.store.projection('u2'))?.status).toMatchObject({ phase: 'Waiting', progress: '1/2' });
  });

  test('may be called by its own Runs, five deep', async () => {
    offer({
      steps: [{ name: 'again', tool: { name: 'report', args: { n: '$(input.n + 1)' } } }],
    });
    expect((await call({ n: 0 })).text).toContain('5 runs in a row have asked for each other already');
    expect(await made()).toHaveLength(5);
  });
});
