// Many processes use one database at once: they hear of each other, and none stands in another's way.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openPostgresStore, StaleWriteError } from '@kadre/store';
import { event, eventually, job, submission } from '../../../store/src/contract/fixtures.ts';
import { first } from '../../../store/src/postgres/schema/first.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';

let server: PostgresServer;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());
const freshSchema = (): string => `s${++schemas}`;

describe('hints', () => {
  test('whoever could not hear for a while is told to look at everything, and hears again', async () => {
    const schema = freshSchema();
    const [store, other] = [await openPostgresStore(server.url(schema)), await openPostgresStore(server.url(schema))];
    const heard: string[] = [];
    store.subscribe('submissions', (key) => heard.push(key));
    await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kadre-hints'");
    await eventually(() => heard.includes('') || undefined);
    await other.submitRun(submission('u1'));
    await eventually(() => heard.includes('u1') || undefined);
    await Promise.all([store.close(), other.close()]);
  });

  test('thousands at once all arrive, each once', async () => {
    const schema = freshSchema();
    const [store, other] = [await openPostgresStore(server.url(schema)), await openPostgresStore(server.url(schema))];
    await store.submitRun(submission('u1'));
    const heard: string[] = [];
    other.subscribe('jobs', (key) => heard.push(key));
    const jobs = Array.from({ length: 3000 }, (_, index) => job('u1', `a-step-with-a-long-name-${index}`));
    await store.append('u1', 0, [event('A')], { jobs });
    await eventually(() => heard.length >= jobs.length || undefined);
    expect(heard).toEqual(jobs.map(({ key }) => key));
    await Promise.all([store.close(), other.close()]);
  });

  test('of a key that is too long for a message, others hear that they must look', async () => {
    const schema = freshSchema();
    const [store, other] = [await openPostgresStore(server.url(schema)), await openPostgresStore(server.url(schema))];
    const heard: string[] = [];
    other.subscribe('events', (key) => heard.push(key));
    await store.publishEvent({ id: 'e', namespace: 'team', name: 'é'.repeat(9000), payload: 1, at: 1 });
    expect(await eventually(() => heard[0])).toBe('');
    await Promise.all([store.close(), other.close()]);
  });

  test('a schema may have any name, as long as names can be', async () => {
    const schema = `"Größe"; DROP TABLE x --${'y'.repeat(37)}`;
    const options = { url: server.url(), schema };
    const [store, other] = [await openPostgresStore(options), await openPostgresStore(options)];
    const heard: string[] = [];
    other.subscribe('submissions', (key) => heard.push(key));
    await store.submitRun(submission('u1'));
    expect(await eventually(() => heard[0])).toBe('u1');
    expect(Buffer.byteLength(schema)).toBe(63);
    await Promise.all([store.close(), other.close()]);
  });

  test('stores in other schemas of the database hear nothing', async () => {
    const [schema, elsewhere] = [freshSchema(), freshSchema()];
    const [store, other] = [await openPostgresStore(server.url(schema)), await openPostgresStore(server.url(schema))];
    const stranger = await openPostgresStore(server.url(elsewhere));
    const heard: string[] = [];
    other.subscribe('submissions', (key) => heard.push(key));
    await stranger.submitRun(submission('strange'));
    await store.submitRun(submission('known'));
    await eventually(() => heard[0]);
    expect(heard).toEqual(['known']);
    await Promise.all([store, other, stranger].map((one) => one.close()));
  });
});

describe('many at once', () => {
  test('stores that are opened together over nothing make one schema', async () => {
    const url = server.url(freshSchema());
    const stores = await Promise.all(Array.from({ length: 6 }, () => openPostgresStore(url)));
    const answers = await Promise.all(stores.map((store) => store.submitRun(submission('u1'))));
    expect(answers.filter(Boolean)).toHaveLength(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  test('engines share the runs: each has one owner, and all are claimed', async () => {
    const url = server.url(freshSchema());
    const store = await openPostgresStore(url);
    const uids = Array.from({ length: 100 }, (_, index) => `u${index}`);
    await Promise.all(uids.map((uid) => store.submitRun(submission(uid))));
    const stores = [store, ...(await Promise.all(Array.from({ length: 3 }, () => openPostgresStore(url))))];
    const claims = stores.map(async (store) => {
      const epoch = await store.joinEngines(600_000);
      const claimed: string[] = [];
      for (let batch = ['']; batch.length > 0; claimed.push(...batch)) batch = await store.claimRuns(epoch, 7);
      await Promise.all(claimed.map((uid) => store.append(uid, 0, [event('A')], { epoch })));
      return claimed;
    });
    // A run whose row is locked just then is left to the next claim.
    const late = stores.map(async (store) => store.claimRuns(await store.joinEngines(600_000), 100));
    const all = [...(await Promise.all(claims)).flat(), ...(await Promise.all(late)).flat()];
    expect(all.toSorted()).toEqual(uids.toSorted());
    await Promise.all(stores.map((store) => store.close()));
  });

  test('more calls than connections take turns', async () => {
    const store = await openPostgresStore({ url: server.url(freshSchema()), connections: 2 });
    const uids = Array.from({ length: 300 }, (_, index) => `u${index}`);
    await Promise.all(uids.map((uid) => store.submitRun(submission(uid))));
    expect(await store.openRuns()).toHaveLength(300);
    await store.close();
  });

  test('engines that write the same runs by mistake do not wait in a circle: one is told', async () => {
    const url = server.url(freshSchema());
    const [one, two] = [await openPostgresStore(url), await openPostgresStore(url)];
    const uids = Array.from({ length: 50 }, (_, index) => `u${index}`);
    for (const uid of uids) await one.submitRun(submission(uid));
    const appends = [
      ...uids.map((uid) => one.append(uid, 0, [event('one')])),
      ...uids.toReversed().map((uid) => two.append(uid, 0, [event('two')])),
    ];
    const refused = (await Promise.allSettled(appends)).filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(uids.length);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(StaleWriteError);
    await Promise.all([one.close(), two.close()]);
  });

  test('an append that the server cannot take does not take others with it', async () => {
    const store = await openPostgresStore(server.url(freshSchema()));
    for (const uid of ['u1', 'u2']) await store.submitRun(submission(uid));
    const outcomes = await Promise.allSettled([
      store.append('u1', 0, [{ ...event('A'), at: 0.5 }]),
      store.append('u2', 0, [event('B')]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    await store.close();
  });
});

test('a store of the first schema keeps what it has and learns what is new', async () => {
  const schema = freshSchema();
  const session = await server.session();
  await session.query(`CREATE SCHEMA ${schema}; SET search_path TO ${schema}; ${first}`);
  await session.query('CREATE TABLE schema_version (version integer NOT NULL); INSERT INTO schema_version VALUES (1)');
  await session.query(`
    INSERT INTO runs (uid) VALUES ('u1');
    INSERT INTO submissions (run, uid, namespace, name, subject, workflow, input, call)
      VALUES (1, 'u1', 'team', 'nightly', 'article', '{}', 'null', 'c');`);
  await session.end();
  const store = await openPostgresStore(server.url(schema));
  expect(await store.findRun('team', 'nightly')).toBe('u1');
  const charges = [{ account: 'run/u1', period: 'total', limit: { tokens: 5 } }];
  await store.reserve({ id: 'c1', expiresAt: 9, charges, amount: { costNanoUsd: 1, tokens: 5 } });
  await store.append('u1', 0, [event('RunSucceeded')], { closed: true });
  await store.deleteRun('u1');
  expect((await store.balances(charges, 1))[0]?.reserved.requests).toBe(0);
  await store.close();
});

describe('gateways', () => {
  const TTL = 600_000;
  const two = async () => {
    const url = server.url(freshSchema());
    const [store, other] = [await openPostgresStore(url), await openPostgresStore(url)];
    return { store, other, close: () => Promise.all([store.close(), other.close()]) };
  };

  test('see each other, and each has a number of its own', async () => {
    const { store, other, close } = await two();
    expect(await store.seatGateway('b', TTL)).toEqual({ rank: 0, of: 1 });
    expect(await other.seatGateway('a', TTL)).toEqual({ rank: 0, of: 2 });
    expect(await store.seatGateway('b', TTL)).toEqual({ rank: 1, of: 2 });
    await other.unseatGateway('a');
    expect(await store.seatGateway('b', TTL)).toEqual({ rank: 0, of: 1 });
    await close();
  });

  test('that gave no sign of life for too long are not counted, until they give one again', async () => {
    const { store, other, close } = await two();
    await other.seatGateway('a', 0);
    expect(await store.seatGateway('b', TTL)).toEqual({ rank: 0, of: 1 });
    expect(await other.seatGateway('a', TTL)).toEqual({ rank: 0, of: 2 });
    await close();
  });

  test('of which many come and go at once stand in nobody’s way', async () => {
    const { store, other, close } = await two();
    const ids = Array.from({ length: 40 }, (_, index) => `g${String(index).padStart(2, '0')}`);
    await Promise.all(ids.map((id, index) => (index % 2 ? store : other).seatGateway(id, index % 4 ? TTL : 0)));
    await Promise.all(ids.map((id, index) => (index % 2 ? store : other).seatGateway(id, TTL)));
    expect(await store.seatGateway('g07', TTL)).toEqual({ rank: 7, of: 40 });
    await close();
  });
});
