// Whose agents are measured, and how one of them is started.
import { openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { runtimeEnv } from '@kadre/crds';
import { bundle, programs } from '../../../scripts/bundle.ts';
import { NODE_ENV, NODE_FLAGS } from '../../../scripts/image/node-settings.ts';
import { ensureFrameworks, EXAMPLES } from '../../integration/frameworks/foreign-agent.ts';
import { freePort } from '../../support/free-port.ts';
import { start, stop } from '../gateway/processes.ts';
import { benchCache, gather, type Absent } from '../install.ts';

export interface Contender {
  name: string;
  /** Starts one; resolves when it is ready. `place`: on which cores. */
  start(place: 'gateway' | 'others'): Promise<Started>;
}

export interface Started {
  url: string;
  child: ChildProcess;
}

/** The others' figures are compared with this one's. */
export const KADRE = 'Kadre';

const READY_MS = 60_000;
const folder = join(benchCache, 'agents');

/** `upstream`: such as http://127.0.0.1:4000. */
export async function contenders(upstream: string): Promise<{ present: Contender[]; absent: Absent[] }> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return gather<Contender>([
    [KADRE, () => kadre(upstream)],
    ['LangGraph', () => langgraph(upstream)],
  ]);
}

async function kadre(upstream: string): Promise<Contender> {
  const program = join(folder, 'kadre');
  await bundle(programs['agent-runtime'], program);
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'token');
  const agent = { name: 'bench', namespace: 'default', instructions: 'Be exact.', model: 'm', tools: true };
  const env = {
    ...NODE_ENV,
    [runtimeEnv.agent]: JSON.stringify(agent),
    [runtimeEnv.gatewayUrl]: upstream,
    [runtimeEnv.tokenFile]: tokenFile,
  };
  const args = [...NODE_FLAGS, join(program, 'main.js')];
  return { name: KADRE, start: (place) => started({ command: process.execPath, args, env, place }) };
}

async function langgraph(upstream: string): Promise<Contender> {
  const command = await ensureFrameworks();
  const constraints = await readFile(join(EXAMPLES, 'constraints.txt'), 'utf8');
  const version = /^langgraph==(\S+)/m.exec(constraints)?.[1] ?? '';
  const args = ['-B', join(import.meta.dirname, 'react_agent.py')];
  const env = { BENCH_UPSTREAM: upstream };
  return { name: `LangGraph ${version}, Starlette`, start: (place) => started({ command, args, env, place }) };
}

async function started(program: Omit<Parameters<typeof start>[0], 'log' | 'ipc'>): Promise<Started> {
  const port = await freePort();
  const log = openSync(join(folder, `${port}.log`), 'w');
  const child = start({ ...program, env: { ...program.env, KADRE_PORT: String(port) }, log, ipc: false });
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const ok = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return { url, child };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop(child);
  throw new Error(`it was not ready within ${READY_MS / 1000} s; ${folder} has its log`);
}
