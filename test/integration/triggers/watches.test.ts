import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually, field, startMs, type Seen } from '../operator/bed.ts';
import { startTriggerBed, triggersIn, type TriggerBed } from './bed.ts';

let bed: TriggerBed;
let ours: ReturnType<typeof triggersIn>;
let namespace: string;
let stopOperator: (() => Promise<void>) | undefined;
let count = 0;

beforeAll(async () => {
  bed = await startTriggerBed();
  await grant('configmaps');
}, startMs);
afterAll(() => bed.stop());
afterEach(() => bed.kubectl(['-n', namespace, 'delete', 'triggers', '--all']));
beforeEach(async () => {
  await stopOperator?.();
  bed.resetClock();
  namespace = await bed.namespace(`watches-${++count}`);
  ours = triggersIn(bed, namespace);
  stopOperator = await bed.startOperator();
});

/** What an administrator does who reads the condition. */
async function grant(resource: string): Promise<void> {
  const name = `kadre-watches-${resource}`;
  await bed.kubectl(['create', 'clusterrole', name, '--verb=get,list,watch', `--resource=${resource}`]);
  const account = '--serviceaccount=kadre-system:kadre';
  await bed.kubectl(['create', 'clusterrolebinding', name, `--clusterrole=${name}`, account]);
}

async function restart(between: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
  await stopOperator?.();
  await between();
  stopOperator = await bed.startOperator();
  await ours.settled();
}

const map = (name: string, data: Record<string, string> = {}): Promise<Seen> =>
  bed.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
const remove = (name: string) => bed.client.delete({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name });

const watch = (changes: string[], more: object = {}) => ({
  watch: { apiVersion: 'v1', kind: 'ConfigMap', changes, ...more },
  start: {
    workflow: { name: 'report' },
    input: { name: '$(object.metadata.name)', change: '$(change)', known: '$(oldObject != null)' },
  },
});
const open = { filter: '$(object.data.state == "open")' };
/** Kubernetes puts this one into each namespace, some time after it is made. */
const named = (...names: string[]) => ({
  labelSelector: {},
  filter: `$(object.metadata.name in ${JSON.stringify(names)})`,
});

const started = async (): Promise<string[]> =>
  ((await ours.inputs()) as { name: string; change: string }[]).map(({ name, change }) => `${change} ${name}`).sort();

describe('a watch', () => {
  test('counts what was created since its Trigger was, once each, however often the operator is started anew', async () => {
    await map('before');
    // Times of creation are in whole seconds.
    await eventually('the next second', () => Promise.resolve(new Date().getMilliseconds() < 100));
    await ours.apply(watch(['Added'], named('before', 'first', 'second', 'third')));
    await ours.ready('WorkflowNotFound');
    await map('first');
    await ours.count(1);
    await restart();
    await restart(() => map('second'));
    await map('third');
    await ours.count(3);
    expect(await started()).toEqual(['Added first', 'Added second', 'Added third']);
  });

  test('does not count again what it counted, even if the Runs are gone', async () => {
    await ours.apply(watch(['Added', 'Modified'], open));
    await ours.ready('WorkflowNotFound');
    await map('one', { state: 'open' });
    const [run] = await ours.count(1);
    await eventually('the progress written', async () => (await ours.status())?.watched?.known !== undefined);
    await restart(async () => {
      await bed.client.delete(ours.run(run?.metadata.name ?? ''));
      await map('one', { state: 'open', more: 'yes' });
    });
    expect(await ours.runs()).toEqual([]);
  });

  test('counts the moment at which its filter becomes true, each time', async () => {
    await map('door', { state: 'shut' });
    await ours.apply(watch(['Modified'], open));
    await ours.ready('WorkflowNotFound');
    await map('door', { state: 'open' });
    await ours.count(1);
    await map('door', { state: 'open', paint: 'red' });
    await map('door', { state: 'shut' });
    await map('door', { state: 'open' });
    await ours.count(2);
    await restart();
    await restart(() => map('door', { state: 'shut' }));
    await restart(() => map('door', { state: 'open' }));
    await ours.count(3);
  });

  test('counts deletions that it sees, and shows the object as it was last', async () => {
    await map('gone', { state: 'open' });
    await map('kept', { state: 'shut' });
    await ours.apply(watch(['Deleted'], open));
    await ours.ready('WorkflowNotFound');
    await remove('kept');
    await remove('gone');
    await ours.count(1);
    expect(await started()).toEqual(['Deleted gone']);
  });

  test('sees what an object was before, where its filter compares', async () => {
    await map('number', { n: '1' });
    await ours.apply(watch(['Modified'], { filter: '$(object.data.n != oldObject.data.n)' }));
    await ours.ready('WorkflowNotFound');
    await map('number', { n: '1', other: 'x' });
    await map('number', { n: '2' });
    const [run] = await ours.count(1);
    expect(field(run, 'spec.input')).toEqual({ name: 'number', change: 'Modified', known: true });
  });

  test('begins anew when its Trigger is changed, or no longer suspended', async () => {
    await ours.apply({ ...watch(['Added'], named('early', 'late')), suspend: true });
    await ours.ready('WorkflowNotFound');
    await map('early');
    await eventually('the next second', () => Promise.resolve(new Date().getMilliseconds() < 100));
    await ours.apply({ ...watch(['Added'], named('early', 'late')), suspend: false });
    await ours.ready('WorkflowNotFound');
    await map('late');
    await ours.count(1);
    expect(await started()).toEqual(['Added late']);
  });
});

describe('what Kadre may not watch', () => {
  const leases = {
    watch: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', changes: ['Added'] },
    start: { workflow: { name: 'report' } },
  };

  test('is named with the rule that is missing, and watched once it is there', async () => {
    await ours.apply(leases);
    const { message } = await ours.ready('Forbidden');
    expect(message).toContain(
      '{apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "list", "watch"]}',
    );
    await grant('leases.coordination.k8s.io');
    // The operator asks again after a while.
    bed.forward(60_000);
    await ours.poke();
    await ours.ready('WorkflowNotFound');
    await bed.apply({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'l', namespace },
      spec: {},
    });
    await ours.count(1);
  });

  test.each<[string, object, string, RegExp]>([
    [
      'a kind that is not there',
      { apiVersion: 'example.com/v1', kind: 'Thing' },
      'KindNotServed',
      /no Thing of example/,
    ],
    ['a kind without namespaces', { apiVersion: 'v1', kind: 'Node' }, 'NotNamespaced', /belong to no namespace/],
    [
      'a plural that is not that of the kind',
      { apiVersion: 'v1', kind: 'Pod', resource: 'configmaps' },
      'ResourceMismatch',
      /Set spec\.watch\.resource to pods/,
    ],
    ['a plural that nobody guesses', { apiVersion: 'v1', kind: 'Endpoints' }, 'ResourceMismatch', /to endpoints/],
  ])('%s says so', async (_what, target, reason, message) => {
    await ours.apply({ watch: { ...target, changes: ['Added'] }, start: { workflow: { name: 'report' } } });
    expect((await ours.ready(reason)).message).toMatch(message);
  });
});

test('ten Triggers of one kind share one watch, and the last takes it away', async () => {
  const watching = () => bed.controlPlane.api.call('GET', '/metrics').then(({ body }) => openWatches(String(body)));
  const base = await watching();
  for (let i = 0; i < 10; i++) {
    await ours.apply(watch(['Added'], named('shared')), `t-${i}`);
    await ours.ready('WorkflowNotFound', `t-${i}`);
  }
  await eventually('one watch', async () => (await watching()) === base + 1);
  await map('shared');
  await ours.count(10);
  for (let i = 0; i < 10; i++) await bed.client.delete(ours.trigger(`t-${i}`));
  await eventually('no watch', async () => (await watching()) === base);
});

/** Of ConfigMaps, as the API server counts them. */
function openWatches(metrics: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith('apiserver_longrunning_requests{'));
  const counted = lines.filter((line) => line.includes('resource="configmaps"') && line.includes('verb="WATCH"'));
  return counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
