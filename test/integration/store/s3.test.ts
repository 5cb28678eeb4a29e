import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BlobDamagedError,
  blobsIn,
  collectBlobs,
  ObjectMissingError,
  openS3,
  openSqliteStore,
  StoreUnusableError,
  withBlobs,
} from '@kadre/store';
import { describeObjects, namesIn } from '../../../store/src/blobs/describe-objects.ts';
import { freePort } from '../../support/free-port.ts';
import { roughWayTo, startS3Server, type Mishap, type RoughWay, type S3Server } from './s3-server.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server.close());

describeObjects('objects in a bucket', () =>
  Promise.resolve({
    objects: openS3({ ...server.options, prefix: 'of-this-test' }),
    second: openS3({ ...server.options, prefix: 'of-this-test' }),
    cleanUp: () => Promise.resolve(),
  }),
);

test('a prefix keeps one user of a bucket from seeing the objects of another', async () => {
  const name = randomUUID();
  await openS3({ ...server.options, prefix: 'team-a' }).put(name, new Uint8Array(1));
  expect(await openS3({ ...server.options, prefix: 'team-b' }).has(name)).toBe(false);
  expect(await openS3(server.options).has(`team-a/${name}`)).toBe(true);
});

const bytes = new Uint8Array(randomBytes(300_000));
const once: Mishap[] = [
  { status: 500 },
  { status: 503, body: '<Error><Code>SlowDown</Code></Error>' },
  { status: 429 },
  { status: 409, body: '<Error><Code>OperationAborted</Code></Error>' },
  'unheard',
  'unanswered',
];

describe('on a rough way', () => {
  let way: RoughWay;
  let name: string;
  beforeEach(async () => {
    way = await roughWayTo(server.options);
    name = randomUUID();
  });
  afterEach(() => way.close());

  test.each<Mishap>([...once, 'cut on the way up', 'cut on the way down'])(
    'a put that meets %j is repeated until it is safe',
    async (mishap) => {
      way.mishaps.push(mishap, mishap);
      await openS3(way.options).put(name, bytes);
      expect(Buffer.compare(await openS3(server.options).get(name), bytes)).toBe(0);
    },
  );

  test.each<Mishap>([...once, 'cut on the way down'])('a get that meets %j is repeated', async (mishap) => {
    await openS3(server.options).put(name, bytes);
    way.mishaps.push(mishap, mishap);
    expect(Buffer.compare(await openS3(way.options).get(name), bytes)).toBe(0);
  });

  test('deleting and listing are repeated too', async () => {
    const folder = randomUUID();
    await openS3(server.options).put(`${folder}/a`, bytes);
    way.mishaps.push({ status: 503 }, 'unanswered');
    await openS3(way.options).delete(`${folder}/a`);
    way.mishaps.push({ status: 503 }, 'cut on the way down');
    expect(await namesIn(openS3(way.options), folder)).toEqual([]);
  });

  test('a body that was cut on its way is never taken for the object', async () => {
    way.mishaps.push('cut on the way up');
    const hasty = openS3({ ...way.options, retry: { attempts: 1, firstDelayMs: 1 } });
    await expect(hasty.put(name, bytes)).rejects.toThrow(StoreUnusableError);
    await expect(openS3(server.options).get(name)).rejects.toThrow(ObjectMissingError);
  });

  test('an answer that is whole but too short is no blob', async () => {
    const blobs = blobsIn(openS3(way.options));
    const ref = await blobs.put('run', bytes);
    way.mishaps.push('short');
    await expect(blobs.get('run', ref)).rejects.toThrow(BlobDamagedError);
    expect(Buffer.compare(await blobs.get('run', ref), bytes)).toBe(0);
  });

  test('a fault that stays is told after the last try, with what the server said', async () => {
    way.mishaps.push(
      ...Array.from({ length: 6 }, () => ({ status: 503, body: '<Error><Code>SlowDown</Code></Error>' })),
    );
    const failing = openS3(way.options).put(name, bytes);
    await expect(failing).rejects.toThrow(StoreUnusableError);
    await expect(failing).rejects.toThrow(/after 6 tries \(the server says 503 SlowDown\): check that the server runs/);
  });

  test('a server that is killed while it takes an object holds it whole or not at all, and a put goes on', async () => {
    const large = new Uint8Array(randomBytes(8_000_000));
    const hasty = openS3({ ...way.options, retry: { attempts: 1, firstDelayMs: 1 } });
    const killed = new Promise<void>((resolve, reject) => {
      way.onBody = () => {
        way.onBody = () => undefined;
        server.kill().then(resolve, reject);
      };
    });
    await expect(hasty.put(name, large)).rejects.toThrow(StoreUnusableError);
    await killed;
    const patient = openS3({ ...way.options, retry: { attempts: 1_000, firstDelayMs: 5 } }).put(`${name}-2`, large);
    await server.start();
    await patient;
    const direct = openS3(server.options);
    expect(Buffer.compare(await direct.get(`${name}-2`), large)).toBe(0);
    if (await direct.has(name)) expect(Buffer.compare(await direct.get(name), large)).toBe(0);
  });
});

test('a database may keep its large payloads in a bucket, and tidies up there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-store-'));
  const rows = openSqliteStore(join(folder, 'kadre.db'));
  const objects = openS3({ ...server.options, prefix: 'payloads' });
  const blobs = blobsIn(objects);
  const store = withBlobs(rows, blobs, { inlineBytes: 100 });
  const run = { uid: 'u1', namespace: 'team', name: 'r', subject: 's', workflow: {}, input: 'é'.repeat(1_000) };
  await store.submitRun(run);
  await store.append('u1', 0, [{ at: 1, type: 'A', data: run.input }]);
  await expect(store.append('nobody', 0, [{ at: 1, type: 'A', data: run.input }])).rejects.toThrow();
  expect((await store.submission('u1'))?.input).toBe(run.input);
  expect((await store.events('u1'))[0]?.data).toBe(run.input);
  expect(await namesIn(objects, '')).toHaveLength(2);
  expect(await collectBlobs(rows, blobs, Date.now() + 10 * 86_400_000)).toBe(1);
  await store.append('u1', 1, [{ at: 1, type: 'B', data: 1 }], { closed: true });
  await store.deleteRun('u1');
  expect(await namesIn(objects, '')).toEqual([]);
  await store.close();
  await rm(folder, { recursive: true });
});

describe('a wrong setting is told with what to mend', () => {
  const secret = 'canary-of-another';
  const key = 'kadre';
  test.each([
    ['secret', { credentials: () => ({ accessKeyId: key, secretAccessKey: secret }) }, /check the credentials/],
    ['key', { credentials: () => ({ accessKeyId: 'nobody', secretAccessKey: secret }) }, /check the credentials/],
    ['bucket', { bucket: 'nobodys' }, /bucket nobodys .* make the bucket, or correct its name/],
    ['region', { region: 'eu-central-1' }, /correct the endpoint or the region/],
  ])('%s', async (_, wrong, advice) => {
    const objects = openS3({ ...server.options, ...wrong });
    for (const call of [
      () => objects.put('a', bytes),
      () => objects.create('a', bytes),
      () => objects.get('a'),
      () => objects.has('a'),
      () => objects.delete('a'),
      () => namesIn(objects, ''),
    ]) {
      const failing = call();
      await expect(failing).rejects.toThrow(StoreUnusableError);
      await expect(failing).rejects.toThrow(advice);
      await expect(failing).rejects.not.toThrow(secret);
    }
  });

  test('endpoint', async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const failing = openS3({ ...server.options, endpoint }).get('a');
    await expect(failing).rejects.toThrow(StoreUnusableError);
    await expect(failing).rejects.toThrow(/ECONNREFUSED.*check that the server runs/);
  });
});
