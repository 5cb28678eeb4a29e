// What can be wrong with a database, and what is said about it: how to mend it, and never the password.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openPostgresStore, StoreBusyError, StoreFullError, StoreUnusableError, type Store } from '@kadre/store';
import { randomBytes } from 'node:crypto';
import { chown, copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { submission } from '../../../store/src/describe-store.ts';
import { capture } from '../../cluster/command.ts';
import { freePort } from '../../support/free-port.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';

let server: PostgresServer;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());
const freshSchema = (): string => `s${++schemas}`;
const CANARY = 'canary-in-a-coal-mine';

async function refusal(opening: Promise<Store>): Promise<Error> {
  const error: unknown = await opening.then(
    async (store) => {
      await store.close();
      return new Error('it was opened');
    },
    (reason: unknown) => reason,
  );
  const whole = `${inspect(error, { depth: 9, showHidden: true })} ${JSON.stringify(error)} ${String(error)}`;
  for (const secret of [CANARY, server.password, encodeURIComponent(server.password)])
    expect(whole).not.toContain(secret);
  return error as Error;
}

describe('opening', () => {
  test.each<[string, (url: URL) => Promise<void> | void, RegExp]>([
    ['a wrong password', (url) => void (url.password = CANARY), /refuses the password of user kadre: correct it/],
    ['an unknown user', (url) => void (url.username = 'nobody'), /refuses the password of user nobody/],
    ['a missing database', (url) => void (url.pathname = '/none'), /\/none does not exist: .*CREATE DATABASE none/],
    ['a user without rights', visitor, /user visitor may not use .* GRANT CREATE ON DATABASE/],
    ['a database that cannot hold all text', asciiDatabase, /encoding SQL_ASCII .* ENCODING 'UTF8'/],
    ['a schema of a newer Kadre', newerSchema, /has schema 999, .* newer/],
    ['TLS where there is none', (url) => url.searchParams.set('sslmode', 'require'), /speaks no TLS/],
    ['an unknown sslmode', (url) => url.searchParams.set('sslmode', 'verify_full'), /must be one of disable/],
    ['verify-ca without an authority', (url) => url.searchParams.set('sslmode', 'verify-ca'), /needs sslrootcert/],
    ['a file that is not there', (url) => url.searchParams.set('sslrootcert', '/none.crt'), /\/none\.crt .*: ENOENT/],
    ['a name that no schema can have', (url) => url.searchParams.set('schema', 'pg_mine'), /not begin with pg_/],
  ])('%s is refused with what to do', async (_, spoil, message) => {
    const url = new URL(server.url(freshSchema()));
    await spoil(url);
    const error = await refusal(openPostgresStore(url.href));
    expect(error.message).toMatch(message);
    expect(error).toBeInstanceOf(StoreUnusableError);
  });

  test.each([
    ['no URL at all', `kadre ${CANARY}`],
    ['a URL of something else', `mysql://kadre:${CANARY}@127.0.0.1/x`],
    ['a URL that cannot be read', `postgres://kadre:${CANARY}/@[::/x`],
    ['a port that is none', `postgres://kadre:${CANARY}@127.0.0.1:99999/x`],
  ])('%s is refused', async (_, url) => {
    expect(await refusal(openPostgresStore({ url, patience: 1 }))).toBeInstanceOf(StoreUnusableError);
  });

  test('a server that cannot be reached is waited for, and then given up', async () => {
    const url = `postgres://kadre:${CANARY}@127.0.0.1:${await freePort()}/x`;
    const error = await refusal(openPostgresStore({ url, patience: 100 }));
    expect(error).toBeInstanceOf(StoreBusyError);
    expect(error.message).toMatch(/127\.0\.0\.1:\d+\/x could not be reached .*ECONNREFUSED.* is the server running/);
  });

  async function visitor(url: URL): Promise<void> {
    await server.query(`CREATE USER visitor PASSWORD '${CANARY}'`);
    Object.assign(url, { username: 'visitor', password: CANARY });
  }

  async function asciiDatabase(url: URL): Promise<void> {
    await server.query("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    url.pathname = '/ascii';
  }

  async function newerSchema(url: URL): Promise<void> {
    await (await openPostgresStore(url.href)).close();
    await server.query(`INSERT INTO ${url.searchParams.get('schema') ?? ''}.schema_version VALUES (999)`);
  }
});

test('a user who owns nothing but the schema is enough', async () => {
  const schema = freshSchema();
  await server.query("CREATE USER tenant PASSWORD 'x'");
  await server.query(`CREATE SCHEMA ${schema} AUTHORIZATION tenant`);
  const url = new URL(server.url(schema));
  Object.assign(url, { username: 'tenant', password: 'x' });
  for (let twice = 0; twice < 2; twice++) {
    const store = await openPostgresStore(url.href);
    expect(await store.submitRun(submission('u1'))).toBe(twice === 0);
    await store.close();
  }
});

test('a database that becomes read-only is refused until it is not', async () => {
  const schema = freshSchema();
  const store = await openPostgresStore({ url: server.url(schema), patience: 500 });
  await server.query('ALTER DATABASE postgres SET default_transaction_read_only = on');
  await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'kadre%'");
  const error = await store.submitRun(submission('u1')).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoreUnusableError);
  expect(String(error)).toMatch(/is read-only: name the primary/);
  expect(await store.openRuns()).toEqual([]);
  const session = await server.session();
  await session.query('SET default_transaction_read_only = off');
  await session.query('ALTER DATABASE postgres RESET default_transaction_read_only');
  await session.end();
  expect(await store.submitRun(submission('u1'))).toBe(true);
  await store.close();
});

test('a schema that somebody takes away is said to be damaged', async () => {
  const schema = freshSchema();
  const store = await openPostgresStore(server.url(schema));
  await server.query(`DROP SCHEMA ${schema} CASCADE`);
  await expect(store.openRuns()).rejects.toThrow(/schema s\d+ .* is damaged/);
  await store.close();
});

// A disk of one's own can only be had by root.
(process.getuid?.() === 0 ? test : test.skip)(
  'a full disk gives StoreFullError, keeps what was acknowledged and nothing else',
  async () => {
    const disk = join(server.directory, 'disk');
    const place = join(disk, 'tables');
    await mkdir(disk);
    await capture('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', disk]);
    try {
      await mkdir(place);
      const { uid, gid } = await stat(server.directory);
      await chown(place, uid, gid);
      const schema = freshSchema();
      const store = await openPostgresStore(server.url(schema));
      await store.submitRun(submission('u1'));
      await server.query(`CREATE TABLESPACE small LOCATION '${place}'`);
      await server.query(`ALTER TABLE ${schema}.events SET TABLESPACE small`);
      const append = (seq: number) => {
        const data = randomBytes(20_000).toString('base64');
        return store.append('u1', seq, [{ at: 1, type: 'A', data }]);
      };
      let acknowledged = 0;
      const error = await (async () => {
        for (; ; acknowledged++) await append(acknowledged);
      })().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StoreFullError);
      expect(acknowledged).toBeGreaterThan(10);
      expect(await store.events('u1')).toHaveLength(acknowledged);
      await capture('mount', ['-o', 'remount,size=64m', disk]);
      await append(acknowledged);
      expect(await store.events('u1')).toHaveLength(acknowledged + 1);
      await store.close();
      await server.query(`DROP SCHEMA ${schema} CASCADE`);
      await server.query('DROP TABLESPACE small');
    } finally {
      await capture('umount', ['-l', disk]);
    }
  },
);

describe('TLS', () => {
  const data = (): string => join(server.directory, 'data');
  let authority: string;
  beforeAll(async () => {
    authority = join(server.directory, 'authority.crt');
    const key = join(server.directory, 'authority.key');
    const subject = ['-subj', '/CN=database', '-addext', 'subjectAltName=IP:127.0.0.1'];
    await capture('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      authority,
      ...subject,
    ]);
    const { uid, gid } = await stat(data());
    for (const [from, to] of [
      [authority, 'server.crt'],
      [key, 'server.key'],
    ] as const) {
      await copyFile(from, join(data(), to));
      await capture('chmod', ['600', join(data(), to)]);
      await chown(join(data(), to), uid, gid);
    }
    await server.query('ALTER SYSTEM SET ssl = on');
    await server.query('SELECT pg_reload_conf()');
  });
  const url = (parameters: Record<string, string>, host = '127.0.0.1'): string => {
    const made = new URL(server.url(freshSchema()));
    made.hostname = host;
    for (const [name, value] of Object.entries(parameters)) made.searchParams.set(name, value);
    return made.href;
  };
  const encrypted = 'SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE $1';

  test.each([
    ['verify-full with the authority', () => ({ sslmode: 'verify-full', sslrootcert: authority })],
    ['require, which trusts anybody', () => ({ sslmode: 'require' })],
  ])('%s speaks TLS on all its connections', async (_, parameters) => {
    const store = await openPostgresStore(url(parameters()));
    const rows = await server.query<{ ssl: boolean }>(encrypted, ['kadre%']);
    expect(rows.map(({ ssl }) => ssl)).toEqual([true, true]);
    await store.close();
  });

  test('an authority that nobody named is not trusted', async () => {
    const error = await refusal(openPostgresStore(url({ sslmode: 'verify-full' })));
    expect(error).toBeInstanceOf(StoreUnusableError);
    expect(error.message).toMatch(/can't be trusted .* sslrootcert=/);
  });

  test('a certificate for another host is not trusted', async () => {
    const error = await refusal(
      openPostgresStore(url({ sslmode: 'verify-full', sslrootcert: authority }, 'localhost')),
    );
    expect(error).toBeInstanceOf(StoreUnusableError);
  });

  test('a file that holds no certificate is refused', async () => {
    const rubbish = join(server.directory, 'rubbish.crt');
    await writeFile(rubbish, 'rubbish');
    const error = await refusal(openPostgresStore(url({ sslmode: 'verify-full', sslrootcert: rubbish })));
    expect(error).toBeInstanceOf(StoreUnusableError);
  });
});
