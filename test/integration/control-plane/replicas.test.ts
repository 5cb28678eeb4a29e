// Replicas and lone roles on one PostgreSQL: who is ready, who leads, who goes on, what is tidied, and what is refused.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openS3 } from '@kadre/store';
import { eventually } from '../../support/kubectl.ts';
import { startS3Server } from '../store/s3-server.ts';
import { startBed, type Bed } from './bed.ts';

const echo = { steps: [{ name: 'say', value: '$(input.n)' }], output: '$(steps.say.output)' };
let bed: Bed;
let folder: string;

beforeAll(async () => {
  bed = await startBed();
  folder = await mkdtemp(join(tmpdir(), 'kadre-replicas-'));
  await bed.apply('workflows', 'Workflow', 'echo', echo);
}, 1_200_000);
afterEach(() => bed.killAll());
afterAll(async () => {
  await bed.stop();
  await rm(folder, { recursive: true });
});

async function succeeds(name: string, n: number): Promise<void> {
  await bed.apply('runs', 'Run', name, { workflow: { name: 'echo' }, input: { n } });
  expect((await bed.succeeded(name)).status?.output).toBe(n);
}

const leads = (name: string) => eventually(`${name} leading`, async () => (await bed.leader()) === name);

describe('two replicas of all roles', () => {
  test('are both ready and serve models; one that loses the lease stops leading and goes on with the rest', async () => {
    const first = await bed.start('all', 'kadre-a');
    await leads('kadre-a');
    await bed.takeLease();
    await eventually('it knows', () => Promise.resolve(first.output().includes('goes on without leading')));
    await bed.returnLease();
    const second = await bed.start('all', 'kadre-b');
    for (const { gatewayUrl } of [first, second]) expect((await fetch(`${gatewayUrl}/v1/models`)).status).toBe(401);
    await eventually('one leading', async () => (await bed.leader()) !== '');
    await succeeds('goes-on', 1);
    expect([first.child.exitCode, second.child.exitCode]).toEqual([null, null]);
  });

  test('hand over when the one that leads is told to stop', async () => {
    const first = await bed.start('all', 'kadre-a');
    await leads('kadre-a');
    const second = await bed.start('all', 'kadre-b');
    first.child.kill('SIGTERM');
    expect(await first.exit).toBe(0);
    await leads('kadre-b');
    await succeeds('handed-over', 2);
    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);
  });
});

describe('a role that runs alone', () => {
  test.each(['gateway', 'engine', 'server', 'operator'])(
    'as %s is ready, tells its own metrics and no others, and stops when it is told to',
    async (role) => {
      const started = await bed.start(role, `kadre-${role}-a`);
      await eventually('metrics of the role', async () =>
        (await started.metrics()).includes(`kadre_event_loop_lag_seconds{role="${role}"`),
      );
      const others = ['gateway', 'engine', 'server', 'operator'].filter((other) => other !== role);
      const metrics = await started.metrics();
      expect(others.filter((other) => metrics.includes(`role="${other}"`))).toEqual([]);
      started.child.kill('SIGTERM');
      expect(await started.exit).toBe(0);
    },
  );

  test('refuses a store in a file, and says what to do', async () => {
    const lone = await bed.launch('engine', 'kadre-engine-a', { KADRE_STORE_URL: '' });
    expect(await lone.exit).toBe(2);
    expect(lone.output()).toMatch(/takes PostgreSQL: set KADRE_STORE_URL, or run all roles/);
  });

  test('refuses a folder for blobs that other pods may not see', async () => {
    const lone = await bed.launch('engine', 'kadre-engine-a', { KADRE_BLOBS_FOLDER: folder });
    expect(await lone.exit).toBe(2);
    expect(lone.output()).toMatch(/KADRE_FOLDERS_SHARED=true/);
  });

  test.each([
    ['a password that is wrong', (url: string) => url.replace('p%40ss', 'canary'), /password/],
    ['a database that is not there', (url: string) => url.replace('/postgres?', '/canary-base?'), /canary-base/],
  ])('ends with a word on %s, and shows no secret and no stack', async (_what, wrong, message) => {
    const lone = await bed.launch('engine', 'kadre-engine-a', { KADRE_STORE_URL: wrong(bed.postgres.url('kadre')) });
    expect(await lone.exit).toBe(1);
    expect(lone.output()).toMatch(message);
    expect(lone.output()).not.toMatch(/canary%|ss:word|\\n {4}at /);
  });
});

test('the operator that leads removes what is no longer kept, into the archive, and the Runs keep their status', async () => {
  const archive = join(folder, 'archive');
  const [operator] = [
    await bed.start('operator', 'kadre-operator-a', {
      KADRE_RETENTION_KEEP_RUNS: '2',
      KADRE_RETENTION_INTERVAL_SECONDS: '1',
      KADRE_ARCHIVE: archive,
      KADRE_FOLDERS_SHARED: 'true',
    }),
    await bed.start('engine', 'kadre-engine-a'),
  ];
  for (const n of [1, 2, 3, 4]) await succeeds(`old-${n}`, n);
  const runs = async () => (await bed.postgres.query<{ uid: string }>('SELECT uid FROM kadre.runs')).length;
  await eventually('two runs left', async () => (await runs()) === 2);
  const files = await readdir(archive, { recursive: true });
  expect(files.filter((name) => name.endsWith('.parquet')).length).toBeGreaterThan(0);
  expect(await operator.metrics()).toMatch(/kadre_housekeeping_runs_total\{[^}]*to="archive"[^}]*\} [1-9]/);
  // A new leader looks at every Run again.
  operator.child.kill('SIGTERM');
  await operator.exit;
  await bed.start('operator', 'kadre-operator-b');
  await leads('kadre-operator-b');
  await succeeds('after', 5);
  expect((await bed.run('old-1')).status).toMatchObject({ phase: 'Succeeded', output: 1 });
  expect(await runs()).toBe(3);
});

test('large values lie in a bucket, where all roles find them', async () => {
  const s3 = await startS3Server();
  const credentials = await s3.options.credentials?.();
  const env = {
    KADRE_BLOBS_S3_ENDPOINT: s3.options.endpoint,
    KADRE_BLOBS_S3_BUCKET: s3.options.bucket,
    KADRE_BLOBS_S3_PREFIX: 'cluster-1',
    AWS_ACCESS_KEY_ID: credentials?.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey,
  };
  try {
    await bed.start('operator', 'kadre-operator-a', env);
    await bed.start('engine', 'kadre-engine-a', env);
    const spec = { workflow: { name: 'echo' }, input: { n: 'x'.repeat(200_000) } };
    await bed.apply('runs', 'Run', 'large', spec);
    expect((await bed.succeeded('large')).status?.output).toMatchObject({ truncated: true });
    const names: string[] = [];
    for await (const { name } of openS3({ ...s3.options, prefix: 'cluster-1' }).list('blobs')) names.push(name);
    expect(names.length).toBeGreaterThan(0);
    const [row] = await bed.postgres.query<{ longest: number }>(
      'SELECT max(length(data)) AS longest FROM kadre.events',
    );
    expect(row?.longest).toBeLessThan(128 * 1024);
  } finally {
    await s3.close();
  }
});
