import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeClient } from './client.ts';
import { createEventRecorder } from './events.ts';
import type { EventRecorder } from './events.ts';
import { FakeApiServer, status } from './fake-api-server.ts';
import { FakeClock, eventually, settle } from './fake-clock.ts';
import { createKubeMetrics } from './metrics.ts';
import type { KubeObject, PlannedEvent } from './plan.ts';

const regarding: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'ns', name: 'a', uid: 'u1', resourceVersion: '7' },
};
const created: PlannedEvent = { type: 'Normal', reason: 'Created', action: 'Create', note: 'Created a Job' };

let server: FakeApiServer;
let client: KubeClient;
let clock: FakeClock;
let recorder: EventRecorder;
const metrics = createKubeMetrics();

beforeEach(async () => {
  server = await new FakeApiServer().start();
  clock = new FakeClock();
  client = server.client();
  recorder = createEventRecorder({ client, controller: 'k.dev/k', instance: 'pod-1', clock, metrics, capacity: 50 });
});
afterEach(async () => {
  await client.close();
  await server.stop();
  await recorder.flush(0);
});

const events = () => [...server.objects.values()];
const minutes = (n: number) => clock.advance(n * 60_000);
const count = () => (events()[0]?.series as { count: number } | undefined)?.count;

test('an Event says what happened to what, and who says so', async () => {
  recorder.record(regarding, created);
  await eventually(() => events().length === 1);
  expect(events()[0]).toMatchObject({
    apiVersion: 'events.k8s.io/v1',
    metadata: { namespace: 'ns' },
    reportingController: 'k.dev/k',
    reportingInstance: 'pod-1',
    type: 'Normal',
    reason: 'Created',
    action: 'Create',
    note: 'Created a Job',
    regarding: { kind: 'ConfigMap', namespace: 'ns', name: 'a', uid: 'u1' },
  });
  expect(events()[0]?.eventTime).toMatch(/\.\d{6}Z$/);
});

test('an Event about a cluster-scoped object goes to the namespace default', async () => {
  recorder.record({ ...regarding, metadata: { name: 'pool', uid: 'u2' } }, created);
  await eventually(() => events().length === 1);
  expect(events()[0]?.metadata.namespace).toBe('default');
});

test('a note is cut to 1 kB, between characters', async () => {
  recorder.record(regarding, { ...created, note: '😀'.repeat(500) });
  await eventually(() => events().length === 1);
  const note = String(events()[0]?.note);
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
  expect(note).toMatch(/^(😀)+…$/u);
});

describe('the same again', () => {
  test('makes a series of the first Event, which the second time shows and later ones only count', async () => {
    for (let i = 0; i < 5; i++) recorder.record(regarding, created);
    await eventually(() => count() === 5);
    recorder.record(regarding, created);
    await settle();
    expect(count()).toBe(5);
    expect(server.writes).toHaveLength(2);
  });

  test('is told at the end of the series, six minutes after the last time', async () => {
    for (let i = 0; i < 5; i++) recorder.record(regarding, created);
    await eventually(() => count() === 5);
    recorder.record(regarding, created);
    recorder.record(regarding, created);
    await minutes(5);
    expect(count()).toBe(5);
    await minutes(3);
    await eventually(() => count() === 7);
    recorder.record(regarding, created);
    await eventually(() => events().length === 2);
  });

  test('is told every half hour while the series goes on', async () => {
    for (let i = 0; i < 33; i++) {
      recorder.record(regarding, created);
      await minutes(1);
    }
    await eventually(() => (count() ?? 0) > 20);
    expect(events()).toHaveLength(1);
  });

  test('another reason or another object is not the same', async () => {
    recorder.record(regarding, created);
    recorder.record(regarding, { ...created, reason: 'Deleted' });
    recorder.record({ ...regarding, metadata: { ...regarding.metadata, uid: 'u9' } }, created);
    await eventually(() => events().length === 3);
  });
});

describe('trouble', () => {
  test('neither blocks nor throws, and others are still delivered', async () => {
    server.fail(() => true, { status: 403, body: status(403, 'Forbidden') });
    recorder.record(regarding, created);
    recorder.record(regarding, { ...created, reason: 'Other' });
    await eventually(() => events().length === 1);
    expect(events()[0]?.reason).toBe('Other');
    expect(await metrics.registry.metrics()).toContain('kadre_events_dropped_total{reason="Forbidden"} 1');
  });

  test('no more than so many wait; the rest is dropped and counted', async () => {
    server.fail(() => true, 'hang');
    for (let i = 0; i < 500; i++) recorder.record(regarding, { ...created, reason: `R${i}` });
    await settle();
    expect(await metrics.registry.metrics()).toMatch(/kadre_events_dropped_total\{reason="full"\} 4\d\d/);
  });
});

describe('flush', () => {
  test('delivers what waits, counts of series included, and takes nothing more', async () => {
    for (let i = 0; i < 4; i++) recorder.record(regarding, created);
    recorder.record(regarding, { ...created, reason: 'Last' });
    await recorder.flush(5000);
    expect(events()).toHaveLength(2);
    expect(count()).toBe(4);
    recorder.record(regarding, { ...created, reason: 'Late' });
    await settle();
    expect(events()).toHaveLength(2);
  });

  test('ends at its deadline when the API server does not answer', async () => {
    server.fail(() => true, 'hang', 10);
    recorder.record(regarding, created);
    await eventually(() => server.requests.length === 1);
    let over = false;
    void recorder.flush(5000).then(() => (over = true));
    await clock.advance(4999);
    expect(over).toBe(false);
    await clock.advance(1);
    expect(over).toBe(true);
  });
});
