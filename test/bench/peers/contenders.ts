// Who is measured. A peer that cannot be had on this machine is named with the reason.
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { bundle } from '../../../scripts/bundle.ts';
import { ensureBuilt } from '../../cluster/go-build.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';
import {
  benchCache,
  gather,
  npmVersion,
  pythonVersion,
  withNpmPackages,
  withPythonPackages,
  type Absent,
} from '../install.ts';
import type { Contender } from './contender.ts';

const peers = import.meta.dirname;
const shared = [join(peers, 'serve.ts')];

/** The others' figures are compared with this one's. */
export const KADRE = 'Kadre, agent steps, SQLite';

/** In the order of the table. */
export async function contenders(): Promise<{ present: Contender[]; absent: Absent[] }> {
  const program = await bundled();
  const all: [name: string, make: () => Contender | Promise<Contender>][] = [
    [KADRE, () => kadre(KADRE, program, 'agent')],
    ['Kadre, value steps, SQLite', () => kadre('Kadre, value steps, SQLite', program, 'value')],
    ['Kadre, agent steps, PostgreSQL', () => onPostgres('Kadre, agent steps', program, 'agent')],
    ['Kadre, value steps, PostgreSQL', () => onPostgres('Kadre, value steps', program, 'value')],
    ['Restate', restate],
    ['LangGraph.js', langgraph],
    ['DBOS', dbos],
    ['Temporal', temporal],
  ];
  return gather(all);
}

/** As it is shipped; and no change of the sources meanwhile is measured. */
async function bundled(): Promise<string> {
  const folder = join(benchCache, 'kadre');
  await bundle('test/bench/peers/kadre/peer.ts', folder);
  return join(folder, 'main.js');
}

function kadre(name: string, program: string, steps: 'agent' | 'value'): Contender {
  return node(name, program, { BENCH_STEPS: steps });
}

async function onPostgres(name: string, program: string, steps: 'agent' | 'value'): Promise<Contender> {
  const server = await startPostgres();
  const [row] = await server.query<{ server_version: string }>('SHOW server_version');
  const [version = ''] = row?.server_version.split(' ') ?? [];
  await removed(server);
  const database = async () => {
    const fresh = await startPostgres();
    return { env: { BENCH_STORE: fresh.url('bench') }, remove: () => removed(fresh) };
  };
  return { ...kadre(`${name}, PostgreSQL ${version}`, program, steps), database };
}

/** The server keeps no process awake, so nothing else might while it is being stopped. */
async function removed(server: PostgresServer): Promise<void> {
  const awake = setInterval(() => {}, 1000);
  await server.remove();
  clearInterval(awake);
}

async function restate(): Promise<Contender> {
  const folder = await withNpmPackages(join(peers, 'restate'), shared);
  const program = `@restatedev/restate-server-${process.platform}-${process.arch}`;
  const server = createRequire(join(folder, 'peer.mjs')).resolve(`${program}/bin/restate-server`);
  const name = `Restate ${npmVersion(folder, '@restatedev/restate-server')}`;
  return node(name, join(folder, 'peer.mjs'), { BENCH_SERVER: server, RESTATE_LOGGING: 'ERROR' });
}

async function langgraph(): Promise<Contender> {
  const folder = await withNpmPackages(join(peers, 'langgraph'), shared);
  return node(`LangGraph.js ${npmVersion(folder, '@langchain/langgraph')}, SQLite`, join(folder, 'peer.mjs'));
}

async function dbos(): Promise<Contender> {
  const folder = await withPythonPackages(join(peers, 'dbos'), shared);
  const command = join(folder, 'venv', 'bin', 'python');
  return { name: `DBOS ${pythonVersion(folder, 'dbos')}, SQLite`, command, args: [join(folder, 'peer.py')] };
}

async function temporal(): Promise<Contender> {
  const directory = join(peers, 'temporal', 'temporal-server');
  const [, cli = ''] = /temporalio\/cli (\S+)/.exec(readFileSync(join(directory, 'go.mod'), 'utf8')) ?? [];
  const programs = await ensureBuilt(
    {
      directory,
      packages: ['github.com/temporalio/cli/cmd/temporal'],
      linkerFlags: ['-s', '-w'],
      announcement: "Building Temporal's development server, once; this takes some minutes ...",
    },
    (line) => console.error(line),
  );
  const folder = await withNpmPackages(join(peers, 'temporal'), shared);
  const sdk = npmVersion(folder, '@temporalio/worker');
  const name = `Temporal dev server ${cli.replace('v', '')}, SDK ${sdk}, SQLite`;
  return node(name, join(folder, 'peer.mjs'), { BENCH_SERVER: join(programs, 'temporal') });
}

function node(name: string, file: string, env: Record<string, string> = {}): Contender {
  return { name, command: process.execPath, args: [file], env };
}
