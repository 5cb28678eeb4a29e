// PostgreSQL and the way to it fail in every way that they can, and nothing is lost or done twice.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  FencedError,
  openPostgresStore,
  StoreBusyError,
  StoreInterruptedError,
  type PostgresStoreOptions,
  type Store,
} from '@kadre/store';
import {
  approval,
  event,
  eventually,
  job,
  projection,
  submission,
  usage,
} from '../../../store/src/contract/fixtures.ts';
import { startProxy, type Fate, type PostgresProxy } from '../../support/postgres-proxy.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';

let server: PostgresServer;
let proxy: PostgresProxy;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
  proxy = await startProxy(server.port);
});
afterAll(async () => {
  await proxy.close();
  await server.remove();
});
const freshSchema = (): string => `s${++schemas}`;
const throughProxy = (schema: string, options: Partial<PostgresStoreOptions> = {}): Promise<Store> =>
  openPostgresStore({ url: server.url(schema).replace(`:${server.port}/`, `:${proxy.port}/`), ...options });

/** Each kind of write once, with all that it answers. */
async function scenario(store: Store): Promise<unknown[]> {
  const said: unknown[] = [];
  const say = async (answer: Promise<unknown>): Promise<void> => {
    said.push(await answer);
  };
  await say(store.submitRun(submission('u1')));
  await say(store.submitRun(submission('u2')));
  await say(store.submitRun(submission('u1')));
  const epoch = await store.joinEngines(600_000);
  const claimed = new Set<string>();
  while (claimed.size < 2) for (const uid of await store.claimRuns(epoch, 1)) claimed.add(uid);
  said.push([...claimed]);
  const asked = { jobs: [job('u1', 's')], approvals: [approval('u1', 'a')], projection: projection('u1', '0/2') };
  await say(store.append('u1', 0, [event('A'), event('B')], { ...asked, epoch }));
  await say(store.append('u1', 2, [event('C')], { projection: projection('u1', '1/2'), epoch }));
  await say(store.jobCreated('u1/s/1', 'uid-1'));
  await say(store.finishJob('u1/s/1', { output: 1 }));
  await say(store.finishJob('u1/s/1', { output: 2 }));
  await say(store.decideApproval('u1/a/1', { approved: true, by: 'bob', at: 1 }));
  await say(store.decideApproval('u1/a/1', { approved: false, by: 'eve', at: 2 }));
  await say(store.publishEvent({ id: 'e1', namespace: 'team', name: 'paid', payload: 1, at: 1 }));
  await say(store.publishEvent({ id: 'e1', namespace: 'team', name: 'paid', payload: 2, at: 1 }));
  await say(store.enterQueue({ run: 'u1', queue: 'q', limit: 1, priority: 0 }));
  await say(store.enterQueue({ run: 'u2', queue: 'q', limit: 1, priority: 0 }));
  await say(store.suspendRun('u2', true));
  await say(store.cancelRun('u2', 'stop'));
  await say(store.append('u1', 3, [event('RunSucceeded')], { closed: true, epoch }));
  await say(store.append('u1', 4, [event('late')], { epoch }).catch((error: unknown) => (error as Error).name));
  await say(store.enterQueue({ run: 'u2', queue: 'q', limit: 1, priority: 0 }));
  await say(store.deleteRun('u1'));
  await say(store.submitRun(submission('u1')));
  await say(store.append('u2', 0, [event('A')], { cache: [{ key: 'k', output: 1, run: 'u2', expiresAt: 9 }], epoch }));
  const charges = ['run/u2', 'namespace/team/budget/b'].map((account) => ({
    account,
    period: 'p',
    limit: { tokens: 9 },
  }));
  const amount = { costNanoUsd: 3, tokens: 6 };
  const reserved = (id: string) => store.reserve({ id, expiresAt: 4, charges, amount });
  for (const id of ['c1', 'c2', 'c1']) await say(reserved(id));
  await say(store.settle('c1', { costNanoUsd: 2, tokens: 1 }, usage('c1', 2)));
  await say(reserved('c3'));
  await say(store.release('c3'));
  for (const charge of charges) await say(store.countRefusal('c3', charge));
  await say(reserved('c4'));
  const answer = { run: 'u2', step: 's', attempt: 1, call: 1, hash: 'h', kind: 'model', answer: 'yes', at: 1 } as const;
  await say(store.recordJournal(answer));
  await say(store.recordJournal(answer));
  await say(store.prune(5));
  await say(store.renewEngine(epoch, 600_000));
  await say(store.leaveEngines(epoch));
  await say(store.append('u2', 1, [event('B')]));
  return said;
}

/** What the tables hold, without numbers that count attempts. */
async function contents(schema: string): Promise<unknown> {
  const tables = {
    runs: 'uid, last_seq, owner, suspended, cancellation, closed',
    submissions: 'uid, name',
    events: 'seq, type, data',
    jobs: 'key, state, uid, outcome, abandoned',
    approvals: 'key, state, decision',
    cached_outputs: '*',
    published_events: 'id, payload',
    queue_entries: 'queue, run, admitted',
    forgotten_runs: '*',
    balances: '*',
    reservations: '*',
    usage: '*',
    journal: 'run, step, attempt, number, answer',
  };
  const session = await server.session(schema);
  const found: Record<string, unknown> = {};
  for (const [table, columns] of Object.entries(tables)) {
    found[table] = (await session.query(`SELECT ${columns} FROM ${table} ORDER BY 1`)).rows;
  }
  await session.end();
  return found;
}

/** Runs the scenario, and treats its nth request in that way. */
async function swept(fate: Fate, nth: number): Promise<{ said: unknown; left: unknown; requests: number }> {
  const schema = freshSchema();
  const store = await throughProxy(schema);
  let requests = 0;
  proxy.judge = (text) => {
    // Hints may be lost; they go on a connection of their own, at any time.
    if (text.includes('pg_notify')) return 'pass';
    return ++requests === nth ? fate : 'pass';
  };
  const said = await scenario(store);
  proxy.judge = () => 'pass';
  await store.close();
  return { said, left: await contents(schema), requests };
}

test('a connection that breaks before or after any write changes neither what is answered nor what is written', async () => {
  const golden = await swept('pass', 0);
  expect(golden.requests).toBeGreaterThan(25);
  for (let nth = 1; nth <= golden.requests; nth++) {
    for (const fate of ['before', 'after'] as const) {
      const { said, left } = await swept(fate, nth);
      expect({ nth, fate, said, left }).toEqual({ nth, fate, said: golden.said, left: golden.left });
    }
  }
});

describe('an answer that never came', () => {
  const judgeFirst = (fate: Fate, sql: string): void => {
    let times = 0;
    proxy.judge = (text) => (text.includes(sql) && ++times === 1 ? fate : 'pass');
  };
  const impatient = async (): Promise<Store> => {
    const store = await throughProxy(freshSchema(), { patience: 0 });
    await store.submitRun(submission('u1'));
    return store;
  };

  test.each([
    ['before', []],
    ['after', ['A']],
  ] as const)(
    '(cut off %s) is owned up to when there is no time to ask again, and the log tells',
    async (fate, types) => {
      const store = await impatient();
      judgeFirst(fate, 'FROM append_and_withdraw(');
      await expect(store.append('u1', 0, [event('A')])).rejects.toThrow(StoreInterruptedError);
      expect((await store.events('u1')).map(({ type }) => type)).toEqual(types);
      await store.close();
    },
  );

  test('to a claim leaves no run behind: the next one names it', async () => {
    const store = await impatient();
    const epoch = await store.joinEngines(600_000);
    judgeFirst('after', 'claim_runs(');
    await expect(store.claimRuns(epoch, 1)).rejects.toThrow(StoreInterruptedError);
    expect(await store.claimRuns(epoch, 1)).toEqual(['u1']);
    expect(await store.claimRuns(epoch, 1)).toEqual([]);
    await store.close();
  });

  test('from a server that fell silent is not waited for without end', async () => {
    const store = await throughProxy(freshSchema(), { statementTimeout: 300 });
    await store.submitRun(submission('u1'));
    judgeFirst('silence', 'FROM append_and_withdraw(');
    await store.append('u1', 0, [event('A')]);
    expect(await store.events('u1')).toHaveLength(1);
    await store.close();
  });
});

describe('a backend that is killed in the middle of an append', () => {
  test.each([
    ['at its run', "SELECT FROM runs WHERE uid = 'u1' FOR UPDATE"],
    ['at its projection', "SELECT FROM projections WHERE uid = 'u1' FOR UPDATE"],
    ['at a job', "SELECT FROM jobs WHERE key = 'u1/s/1' FOR UPDATE"],
    ['at an approval', "SELECT FROM approvals WHERE key = 'u1/a/1' FOR UPDATE"],
    ['at the cache', "SELECT FROM cached_outputs WHERE key = 'k' FOR UPDATE"],
    ['at its queue', "SELECT lock_queue('q')"],
    ['at the log', 'LOCK TABLE events IN EXCLUSIVE MODE'],
  ])('%s leaves the append done once and whole', async (_, lock) => {
    const schema = freshSchema();
    const store = await openPostgresStore(server.url(schema));
    await store.submitRun(submission('u1'));
    await store.enterQueue({ run: 'u1', queue: 'q', limit: 1, priority: 0 });
    const cache = (output: number) => [{ key: 'k', output, run: 'u1', expiresAt: 9 }];
    const asked = { jobs: [job('u1', 's')], approvals: [approval('u1', 'a')], projection: projection('u1', '0/1') };
    await store.append('u1', 0, [event('A')], { ...asked, cache: cache(1) });

    const blocker = await server.session(schema);
    await blocker.query('BEGIN');
    await blocker.query(lock);
    const dropped = { abandon: ['u1/s/1'], withdraw: ['u1/a/1'], projection: projection('u1', '1/1') };
    const written = store.append('u1', 1, [event('B')], { ...dropped, cache: cache(2), closed: true });
    const waiting = `SELECT pid FROM pg_stat_activity WHERE application_name = 'kadre' AND wait_event_type = 'Lock'`;
    const [victim] = await eventually(async () => {
      const found = await server.query<{ pid: number }>(waiting);
      return found.length > 0 ? found : undefined;
    });
    await server.query('SELECT pg_terminate_backend($1)', [victim?.pid]);
    await blocker.query('ROLLBACK');
    await blocker.end();

    await written;
    expect((await store.events('u1')).map(({ type }) => type)).toEqual(['A', 'B']);
    expect(await store.projection('u1')).toMatchObject({ version: 2, status: { progress: '1/1' } });
    expect(await store.job('u1/s/1')).toMatchObject({ abandoned: true });
    expect(await store.approval('u1/a/1')).toMatchObject({ state: 'withdrawn' });
    expect((await store.cachedOutput('k', 1))?.output).toBe(2);
    expect(await store.openRuns()).toEqual([]);
    await store.close();
  });
});

describe('a database that is restarted under load', () => {
  test.each(['fast', 'crash'] as const)('(%s) loses nothing that was acknowledged and doubles nothing', async (how) => {
    const store = await openPostgresStore(server.url(freshSchema()));
    const uids = Array.from({ length: 20 }, (_, index) => `u${index}`);
    for (const uid of uids) await store.submitRun(submission(uid));
    let acknowledged = 0;
    let ending = false;
    const writers = uids.map(async (uid) => {
      let seq = 0;
      for (; !ending; seq++) {
        await store.append(uid, seq, [event(`E${seq}`)], { projection: projection(uid, String(seq)) });
        acknowledged++;
      }
      return seq;
    });
    for (let times = 0; times < 2; times++) {
      const before = acknowledged;
      await eventually(() => acknowledged > before + 200 || undefined);
      await server.stop(how);
      await server.start();
    }
    const after = acknowledged;
    await eventually(() => acknowledged > after + 200 || undefined);
    ending = true;
    const lengths = await Promise.all(writers);
    for (const [index, uid] of uids.entries()) {
      const log = await store.events(uid);
      expect(log.map(({ type }) => type)).toEqual(Array.from({ length: lengths[index] ?? 0 }, (_, seq) => `E${seq}`));
      expect((await store.projection(uid))?.version).toBe(log.length);
    }
    await store.close();
  });

  test('is waited for by those who ask meanwhile, and given up in the end', async () => {
    const schema = freshSchema();
    const patient = await openPostgresStore(server.url(schema));
    const impatient = await openPostgresStore({ url: server.url(schema), patience: 1 });
    await patient.submitRun(submission('u1'));
    await server.stop();
    const read = patient.openRuns();
    const written = patient.submitRun(submission('u2'));
    await expect(impatient.submitRun(submission('u3'))).rejects.toThrow(StoreBusyError);
    await expect(impatient.openRuns()).rejects.toThrow(/could not be reached .* is the server running/);
    await server.start();
    expect((await read).slice(0, 1)).toEqual(['u1']);
    expect(await written).toBe(true);
    expect(await impatient.submitRun(submission('u3'))).toBe(true);
    await Promise.all([patient.close(), impatient.close()]);
  });
});

test('a lock that somebody holds for too long gives StoreBusyError, and the call can be made again', async () => {
  const schema = freshSchema();
  const store = await openPostgresStore({ url: server.url(schema), statementTimeout: 1_500 });
  await store.submitRun(submission('u1'));
  const blocker = await server.session(schema);
  await blocker.query("BEGIN; SELECT FROM runs WHERE uid = 'u1' FOR UPDATE");
  await expect(store.append('u1', 0, [event('A')])).rejects.toThrow(StoreBusyError);
  await blocker.query('ROLLBACK');
  await blocker.end();
  await store.append('u1', 0, [event('A')]);
  expect(await store.events('u1')).toHaveLength(1);
  await store.close();
});

test('an engine that is fenced while its append waits for the row is refused', async () => {
  const schema = freshSchema();
  const store = await openPostgresStore(server.url(schema));
  await store.submitRun(submission('u1'));
  const [first, second] = [await store.joinEngines(600_000), await store.joinEngines(600_000)];
  expect(await store.claimRuns(first, 1)).toEqual(['u1']);
  const blocker = await server.session(schema);
  await blocker.query('BEGIN');
  await blocker.query('UPDATE runs SET owner = $1', [second]);
  const refused = store.append('u1', 0, [event('A')], { epoch: first }).catch((error: unknown) => error);
  const waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'kadre' AND wait_event_type = 'Lock'";
  await eventually(async () => (await server.query(waiting)).length > 0 || undefined);
  await blocker.query('COMMIT');
  await blocker.end();
  expect(await refused).toBeInstanceOf(FencedError);
  expect(await store.events('u1')).toEqual([]);
  await store.close();
});
