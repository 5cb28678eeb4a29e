// A real PostgreSQL for tests: Debian's, in a temporary directory, for as long as this process lives.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { capture } from '../cluster/command.ts';
import { tailOf } from '../cluster/log.ts';
import { installPackages } from '../cluster/node/packages.ts';
import { freePort } from './free-port.ts';

export interface PostgresServer {
  readonly directory: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Of a database on the server; with a schema, of a store. */
  url: (schema?: string, database?: string) => string;
  /** One statement as superuser, on a connection of its own. */
  query: <Row extends object = object>(sql: string, values?: unknown[]) => Promise<Row[]>;
  /** A connection of one's own; with a schema, into that of a store. */
  session: (schema?: string) => Promise<Client>;
  /** fast: connections are cut off and all is written down. crash: as if the machine had lost power. */
  stop: (how?: 'fast' | 'crash') => Promise<void>;
  /** Again, after `stop`, with the same data on the same port. */
  start: () => Promise<void>;
  /** Stops the server and removes its directory. */
  remove: () => Promise<void>;
}

const USER = 'kadre';
const PASSWORD = 'p@ss:word/%';

/** Ends the server when its own input ends, which it does when the test's process ends, however that ends. */
const TETHER = `
"$@" &
cat > /dev/null
kill -INT $!
wait $!`;

/**
 * A server of one's own. Takes two seconds; each test can have a schema of its own in it.
 *
 * @param address of this machine, at which others may reach it too
 */
export async function startPostgres(address?: string): Promise<PostgresServer> {
  const programs = await findPrograms();
  const owner = unprivileged();
  const directory = await mkdtemp(join(tmpdir(), 'kadre-postgres-'));
  const data = join(directory, 'data');
  const secret = join(directory, 'password');
  await writeFile(secret, PASSWORD);
  if (owner) for (const path of [directory, secret]) await chown(path, owner.uid, owner.gid);
  const init = ['-D', data, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${secret}`, '-E', 'UTF8', '--no-locale', '-N'];
  await run(join(programs, 'initdb'), init, owner);
  const port = await freePort();
  await appendFile(
    join(data, 'postgresql.conf'),
    `port = ${port}\nlisten_addresses = '${['127.0.0.1', ...(address === undefined ? [] : [address])].join()}'\nunix_socket_directories = '${directory}'\nshared_buffers = '32MB'\n`,
  );
  if (address !== undefined) await appendFile(join(data, 'pg_hba.conf'), 'host all all all scram-sha-256\n');
  return serve({ program: join(programs, 'postgres'), directory, data, port, owner });
}

interface Place {
  program: string;
  directory: string;
  data: string;
  port: number;
  owner: Owner | undefined;
}

async function serve({ program, directory, data, port, owner }: Place): Promise<PostgresServer> {
  const log = join(directory, 'log');
  let tether: ChildProcess | undefined;
  const url = (schema?: string, database = 'postgres') =>
    `postgres://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${database}${schema === undefined ? '' : `?schema=${schema}`}`;
  const session = async (schema?: string): Promise<Client> => {
    const client = new Client(url());
    await client.connect();
    if (schema !== undefined) await client.query(`SET search_path TO ${schema}`);
    return client;
  };
  const query = async <Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> => {
    const client = await session();
    try {
      return (await client.query<Row>(sql, values)).rows;
    } finally {
      await client.end();
    }
  };
  const start = async (): Promise<void> => {
    const args = ['-c', TETHER, 'sh', program, '-D', data, '-c', 'log_destination=stderr'];
    // It writes by itself: what is passed on here might come when the directory is being removed, and stand in the way.
    const output = openSync(log, 'a');
    const child = spawn('sh', args, { ...owner, cwd: directory, stdio: ['pipe', 'ignore', output] });
    closeSync(output);
    for (const handle of [child, child.stdin]) (handle as unknown as { unref: () => void }).unref();
    tether = child;
    while (
      !(await query('SELECT').then(
        () => true,
        () => false,
      ))
    ) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL did not start:\n${tailOf(log)}`);
      await delay(20);
    }
  };
  const stop = async (how: 'fast' | 'crash' = 'fast'): Promise<void> => {
    const child = tether;
    tether = undefined;
    if (child?.exitCode !== null) return;
    const ended = once(child, 'exit');
    if (how === 'crash') process.kill(postmaster(data), 'SIGQUIT');
    child.stdin?.end();
    await ended;
  };
  const remove = async (): Promise<void> => {
    await stop();
    await run('rm', ['-rf', directory], undefined);
  };
  await start();
  return { directory, port, user: USER, password: PASSWORD, url, query, session, stop, start, remove };
}

function postmaster(data: string): number {
  return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

/** The folder of initdb and postgres. */
async function findPrograms(): Promise<string> {
  const found = installed();
  if (found !== undefined) return found;
  // Its settings first, so that no cluster is made that nobody asked for.
  await installPackages(['postgresql-common'], 'the store of the tests', console.error);
  await appendFile('/etc/postgresql-common/createcluster.conf', '\ncreate_main_cluster = false\n');
  await installPackages(['postgresql'], 'the store of the tests', console.error);
  const fresh = installed();
  if (fresh === undefined) throw new Error('PostgreSQL was installed, but its initdb is nowhere to be found');
  return fresh;
}

function installed(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map((one) => join(debian, one, 'bin'))];
  return folders.find((folder) => ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))));
}

interface Owner {
  uid: number;
  gid: number;
}

/** PostgreSQL refuses root. */
function unprivileged(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  const fields = ['postgres', 'nobody'].map((name) => users.find((line) => line.startsWith(`${name}:`))?.split(':'));
  const [, , uid, gid] = fields.find((found) => found !== undefined) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

async function run(program: string, args: string[], owner: Owner | undefined): Promise<void> {
  if (!owner) {
    await capture(program, args);
    return;
  }
  await capture('setpriv', [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', program, ...args]);
}
