import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually, field, KADRE, startMs } from '../operator/bed.ts';
import { startTriggerBed, triggersIn, type Client, type TriggerBed } from './bed.ts';

const HOUR = 3_600_000;
/** A minute that does not come while these tests run, unless they set the clock. */
const minute = (new Date().getUTCMinutes() + 30) % 60;
const cron = `${minute} * * * *`;
let bed: TriggerBed;
let ours: ReturnType<typeof triggersIn>;
let stopOperator: (() => Promise<void>) | undefined;
let count = 0;

beforeAll(async () => {
  bed = await startTriggerBed();
}, startMs);
afterAll(() => bed.stop());
beforeEach(async () => {
  await stopOperator?.();
  bed.resetClock();
  ours = triggersIn(bed, await bed.namespace(`schedules-${++count}`));
  stopOperator = await bed.startOperator();
});

const start = { workflow: { name: 'report' }, input: { at: '$(scheduledTime)' } };
const hourly = (more: object = {}) => ({ schedule: { cron, ...more }, start });

/** The operator looks at the Trigger, with the clock set forward. */
async function pass(ms: number): Promise<void> {
  bed.forward(ms);
  await ours.poke();
}

describe('a schedule', () => {
  test('starts a Run for its time, and says what was last and what is next', async () => {
    await ours.apply(hourly());
    await ours.ready('WorkflowNotFound');
    expect(await ours.runs()).toEqual([]);
    await pass(HOUR);
    const [run] = await ours.count(1);
    const status = await eventually('the status', async () => {
      const now = await ours.status();
      return now?.lastRun !== undefined && now;
    });
    expect(field(run, 'spec')).toEqual({ workflow: { name: 'report' }, input: { at: status.lastScheduleTime } });
    expect(status).toMatchObject({ cause: 'Schedule', active: 1, lastRun: { name: run?.metadata.name } });
    expect(Date.parse(status.nextScheduleTime ?? '') - Date.parse(status.lastScheduleTime ?? '')).toBe(HOUR);
    expect(run?.metadata.annotations?.['kadre.dev/cause']).toBe(`schedule ${status.lastScheduleTime ?? ''}`);
  });

  test('starts one Run within its minute, however often the operator is started anew', async () => {
    await ours.apply(hourly());
    await ours.ready('WorkflowNotFound');
    await pass(HOUR);
    await ours.count(1);
    for (let i = 0; i < 3; i++) {
      await stopOperator?.();
      stopOperator = await bed.startOperator();
      await ours.settled();
    }
    expect(await ours.runs()).toHaveLength(1);
  });

  test('starts one Run if the operator dies between the Run and what it writes about it', async () => {
    await ours.apply(hourly());
    await ours.ready('WorkflowNotFound');
    await stopOperator?.();
    const died = Promise.withResolvers<undefined>();
    const stopDead = await bed.startOperator((client) => dyingAfterRun(client, () => died.resolve(undefined)));
    await pass(HOUR);
    await died.promise;
    await stopDead();
    expect((await ours.status())?.lastScheduleTime).toBeUndefined();
    stopOperator = await bed.startOperator();
    await eventually('the status', async () => (await ours.status())?.lastScheduleTime !== undefined);
    expect(await ours.runs()).toHaveLength(1);
  });

  test('makes up for the latest start that was missed, and for no other', async () => {
    await ours.apply(hourly());
    await ours.ready('WorkflowNotFound');
    await stopOperator?.();
    bed.forward(5 * HOUR);
    stopOperator = await bed.startOperator();
    const [run] = await ours.count(1);
    const late = bed.now() - Date.parse((field(run, 'spec.input') as { at: string }).at);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(HOUR);
  });

  test('starts nothing that was due while it was suspended', async () => {
    await ours.apply({ ...hourly(), suspend: true });
    await ours.ready('WorkflowNotFound');
    await pass(3 * HOUR);
    await ours.apply({ ...hourly(), suspend: false });
    await ours.settled();
    expect(await ours.runs()).toEqual([]);
    await pass(HOUR);
    await ours.count(1);
  });

  test('that never comes says so', async () => {
    await ours.apply({ schedule: { cron: '0 0 31 2 *' }, start });
    expect((await ours.ready('InvalidSchedule')).message).toMatch(/never comes/);
    await ours.apply({ schedule: { cron: '0 0 1 2 *', timeZone: 'Europe/Atlantis' }, start });
    expect((await ours.ready('InvalidSchedule')).message).toMatch(/no time zone Europe\/Atlantis/);
  });
});

describe('while a Run is at work', () => {
  test('Forbid starts no other, and does once it is over', async () => {
    await ours.apply(hourly({ concurrencyPolicy: 'Forbid' }));
    await ours.ready('WorkflowNotFound');
    await pass(HOUR);
    const [first] = await ours.count(1);
    await pass(HOUR);
    await eventually('the skipped start told', async () => (await skipped()).length > 0);
    expect(await ours.runs()).toHaveLength(1);
    if (first) await ours.end(first, 'Succeeded');
    await pass(HOUR);
    await ours.count(2);
  });

  test('Replace cancels it, and starts another', async () => {
    await bed.apply({
      apiVersion: KADRE,
      kind: 'Workflow',
      metadata: { name: 'report', namespace: `schedules-${count}` },
      spec: { steps: [{ name: 'one', value: 1 }] },
    });
    await ours.apply(hourly({ concurrencyPolicy: 'Replace' }));
    await ours.ready('Ready');
    await pass(HOUR);
    const [first] = await ours.count(1);
    const uid = first?.metadata.uid ?? '';
    await eventually('the engine has it', () => bed.store.submission(uid));
    await pass(HOUR);
    await ours.count(2);
    expect((await bed.store.controls(uid)).cancellation).toMatch(/replaced/);
  });

  test('Replace takes away what has not begun', async () => {
    await ours.apply(hourly({ concurrencyPolicy: 'Replace' }));
    await ours.ready('WorkflowNotFound');
    await pass(HOUR);
    const [first] = await ours.count(1);
    await pass(HOUR);
    const [left] = await eventually('another Run in its place', async () => {
      const all = await ours.runs();
      return all.length === 1 && all[0]?.metadata.uid !== first?.metadata.uid && all;
    });
    expect(left?.metadata.deletionTimestamp).toBeUndefined();
  });
});

test('finished Runs beyond the limit go, and their Trigger starts none of them again', async () => {
  await ours.apply({ ...hourly(), historyLimit: { successful: 1, failed: 0 } });
  await ours.ready('WorkflowNotFound');
  for (let i = 1; i <= 3; i++) {
    await pass(HOUR);
    const latest = await eventually('the next Run', async () => {
      const at = (await ours.status())?.lastScheduleTime;
      return (await ours.runs()).find(
        (run) => field(run, 'spec.input.at') === at && bed.now() - Date.parse(at ?? '') < HOUR,
      );
    });
    await ours.end(latest, 'Succeeded');
  }
  const [left] = await ours.count(1);
  await stopOperator?.();
  stopOperator = await bed.startOperator();
  await ours.settled();
  expect((await ours.runs()).map(({ metadata }) => metadata.name)).toEqual([left?.metadata.name]);
});

test('a schedule may publish an event, once for each time', async () => {
  await ours.apply({
    schedule: { cron: '0 * * * *' },
    start: { event: { name: 'tick', payload: '$(scheduledTime)' } },
  });
  await ours.ready('Ready');
  const since = bed.now();
  await pass(HOUR);
  const namespace = `schedules-${count}`;
  const events = () => bed.store.publishedEvents(namespace, 'tick', since - HOUR);
  await eventually('the event', async () => (await events()).length > 0);
  await stopOperator?.();
  stopOperator = await bed.startOperator();
  await ours.settled();
  expect(await events()).toHaveLength(1);
});

async function skipped(): Promise<unknown[]> {
  const events = await bed.list('events.k8s.io/v1', 'Event', `schedules-${count}`);
  return events.filter((event) => event.reason === 'StillRunning');
}

/** A process that makes a Run and is dead from then on. */
function dyingAfterRun(client: Client, onDeath: () => void): Client {
  let dead = false;
  const die = (): never => {
    throw new Error('dead');
  };
  const wrap = (inner: Client): Client => ({
    ...inner,
    gated: (gate) => wrap(inner.gated(gate)),
    apply: (...call) => (dead ? die() : inner.apply(...call)),
    patch: (...call) => (dead ? die() : inner.patch(...call)),
    create: async (object, options) => {
      if (dead) die();
      const made = await inner.create(object, options);
      if (object.kind !== 'Run') return made;
      dead = true;
      onDeath();
      return die();
    },
  });
  return wrap(client);
}
