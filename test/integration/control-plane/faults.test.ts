// The roles as processes of their own on one PostgreSQL, and what becomes of runs when any of them is killed, stands still,
// or loses the database.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { KadreProcess } from '../../support/kadre-process.ts';
import { capture, eventually } from '../../support/kubectl.ts';
import { article, recordedTwice, startBed, type Bed } from './bed.ts';

let bed: Bed;
let serial = 0;

beforeAll(async () => {
  bed = await startBed();
  await bed.apply('agents', 'Agent', 'writer', { model: 'm', instructions: 'Write.', serving: { replicas: 0 } });
  await bed.apply('workflows', 'Workflow', 'article', article);
}, 1_200_000);
afterEach(async () => {
  bed.agent.letGo();
  await bed.killAll();
  bed.agent.begun.splice(0);
});
afterAll(() => bed.stop());

/** Applies Runs of the article; the first asks for a decision. */
async function applyRuns(count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `run-${++serial}-${i}`);
  await Promise.all(
    names.map((name, n) =>
      bed.apply('runs', 'Run', name, { workflow: { name: 'article' }, input: { n, ask: n === 0 } }),
    ),
  );
  return names;
}

/** All succeeded, each with its own result, and with nothing recorded or begun twice. */
async function allWell(names: string[]): Promise<void> {
  await eventually('the decision', async () => {
    await bed.approve();
    return (await bed.run(names[0] ?? '')).status?.phase === 'Succeeded';
  });
  for (const [n, name] of names.entries()) {
    const run = await bed.succeeded(name);
    expect([name, run.status?.output]).toEqual([name, `Done: About ${2 * n}`]);
    const history = await bed.history(name);
    expect([name, recordedTwice(history)]).toEqual([name, []]);
    expect(history.filter(({ type }) => type === 'RunSucceeded')).toHaveLength(1);
    expect(history.filter(({ type }) => type === 'StepFailed')).toEqual([]);
  }
  expect(bed.agent.begun).toHaveLength(names.length);
  expect(new Set(bed.agent.begun).size).toBe(names.length);
}

const held = (count: number) =>
  eventually(`${count} tasks at the agent`, () => Promise.resolve(bed.agent.begun.length === count));

/** The engine that has most of the runs, by the order in which they were started after `seats` others. */
async function busiest<T>(engines: T[]): Promise<{ engine: T; seat: number }> {
  const owners = [...(await bed.runsByEngine())].sort(([, a], [, b]) => b - a);
  const [[seat] = [0]] = owners;
  const newest = await bed.postgres.query<{ epoch: string }>('SELECT epoch FROM kadre.engines ORDER BY epoch DESC');
  const index = newest.map(({ epoch }) => Number(epoch)).indexOf(seat);
  const engine = engines.at(-1 - index);
  if (!engine) throw new Error(`no engine of seat ${seat}`);
  return { engine, seat };
}

const takenOver = (seat: number) =>
  eventually('its runs taken over', async () => {
    const owners = await bed.runsByEngine();
    return owners.size > 0 && !owners.has(seat);
  });

async function startEngines(): Promise<KadreProcess[]> {
  // One after the other: their seats are numbered in this order.
  const first = await bed.start('engine', 'kadre-engine-a');
  return [first, await bed.start('engine', 'kadre-engine-b')];
}

describe('with two engines', () => {
  test('what one of them has when it is killed, the other takes over, and the agent is not asked anew', async () => {
    await bed.start('operator', 'kadre-operator-a');
    const engines = await startEngines();
    bed.agent.hold();
    const names = await applyRuns(12);
    await held(12);
    const { engine, seat } = await busiest(engines);
    engine.child.kill('SIGKILL');
    await takenOver(seat);
    bed.agent.letGo();
    await allWell(names);
  });

  test('one that stood still past its lease writes nothing when it goes on, and then works again', async () => {
    await bed.start('operator', 'kadre-operator-a');
    const engines = await startEngines();
    bed.agent.hold();
    const names = await applyRuns(12);
    await held(12);
    const { engine, seat } = await busiest(engines);
    engine.child.kill('SIGSTOP');
    await takenOver(seat);
    // The answers wait for it in its sockets, and reach the other engine as well.
    bed.agent.letGo();
    await eventually('the other records', async () => (await bed.run(names[11] ?? '')).status?.phase === 'Succeeded');
    engine.child.kill('SIGCONT');
    await allWell(names);
    await eventually('it knows', () => Promise.resolve(engine.output().includes('seat of this engine is lost')));
    bed.agent.begun.splice(0);
    for (const other of engines) if (other !== engine) other.child.kill('SIGKILL');
    await allWell(await applyRuns(2));
  });

  test('a database that crashes under load and comes back costs nothing but time', async () => {
    const processes = [await bed.start('operator', 'kadre-operator-a'), ...(await startEngines())];
    const names = await applyRuns(30);
    await eventually('some have begun', () => Promise.resolve(bed.agent.begun.length >= 5));
    await bed.postgres.stop('crash');
    await bed.postgres.start();
    await allWell(names);
    expect(processes.map(({ child }) => child.exitCode)).toEqual([null, null, null]);
  });
});

test('of two operators one leads, both are ready, and the second takes over from one that was killed', async () => {
  const [first, second] = [
    await bed.start('operator', 'kadre-operator-a'),
    await bed.start('operator', 'kadre-operator-b'),
  ];
  await bed.start('engine', 'kadre-engine-a');
  expect(await bed.leader()).toBe('kadre-operator-a');
  expect(second.output()).not.toContain('This replica leads');
  bed.agent.hold();
  const names = await applyRuns(4);
  await held(4);
  first.child.kill('SIGKILL');
  bed.agent.letGo();
  await eventually('the second leading', async () => (await bed.leader()) === 'kadre-operator-b');
  await allWell(names);
});

test('a backup taken at work, restored into an empty database, goes on from there; what was over stays so', async () => {
  await bed.start('operator', 'kadre-operator-a');
  await bed.start('engine', 'kadre-engine-a');
  const before = await applyRuns(2);
  await allWell(before);
  bed.agent.begun.splice(0);
  bed.agent.hold();
  const names = await applyRuns(4);
  await held(4);
  const dump = await capture('pg_dump', [bed.postgres.url()]);
  await bed.killAll();
  bed.agent.letGo();
  await bed.postgres.query('DROP SCHEMA kadre CASCADE');
  await capture('psql', ['--quiet', '--set=ON_ERROR_STOP=1', bed.postgres.url()], dump);
  await bed.start('operator', 'kadre-operator-a');
  await bed.start('engine', 'kadre-engine-a');
  await allWell(names);
  for (const name of before) expect(recordedTwice(await bed.history(name))).toEqual([]);
  expect(await bed.openRuns()).toEqual([]);
});
