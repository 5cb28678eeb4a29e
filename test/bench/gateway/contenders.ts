// Which gateways are measured, and how each is started: on one core, with nothing switched on that the others lack.
import { openSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { bundle } from '../../../scripts/bundle.ts';
import { NODE_ENV, NODE_FLAGS } from '../../../scripts/image/node-settings.ts';
import { freePort } from '../../support/free-port.ts';
import {
  benchCache,
  gather,
  npmVersion,
  pythonVersion,
  withNpmPackages,
  withPythonPackages,
  type Absent,
} from '../install.ts';
import { WHOLE } from './answers.ts';
import type { Target } from './load.ts';
import { nextMessage, start, stop } from './processes.ts';

export interface Contender {
  name: string;
  child: ChildProcess;
  target: Target;
}

/** The others' figures are compared with this one's. */
export const KADRE = 'Kadre';
export const KADRE_LIMITED = 'Kadre, with a Budget and the journal';

const READY_MS = 120_000;
const here = import.meta.dirname;
const folder = join(benchCache, 'gateways');

/** In the order of the table. `upstream`: such as http://127.0.0.1:4000/v1. */
export async function startAll(upstream: string): Promise<{ present: Contender[]; absent: Absent[] }> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const program = join(folder, 'kadre');
  await bundle('test/bench/gateway/kadre/peer.ts', program);
  return gather<Contender>([
    [KADRE, () => kadre(KADRE, program, upstream, '')],
    [KADRE_LIMITED, () => kadre(KADRE_LIMITED, program, upstream, 'budget, journal')],
    ['Portkey', () => portkey(upstream)],
    ['LiteLLM', () => litellm(upstream)],
  ]);
}

async function kadre(name: string, program: string, upstream: string, limits: string): Promise<Contender> {
  const data = join(folder, `data ${limits}`);
  await mkdir(data);
  const env = { ...NODE_ENV, BENCH_UPSTREAM: upstream, BENCH_LIMITS: limits, BENCH_DATA: data };
  const child = start({
    command: process.execPath,
    args: [...NODE_FLAGS, join(program, 'main.js')],
    env,
    place: 'gateway',
    log: openSync(join(data, 'log'), 'w'),
    ipc: true,
  });
  return { name, child, target: await nextMessage<Target>(child) };
}

async function portkey(upstream: string): Promise<Contender> {
  const installed = await withNpmPackages(join(here, 'portkey'));
  const port = await freePort();
  const program = join(installed, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');
  const child = start({
    command: process.execPath,
    args: [program, `--port=${port}`, '--headless'],
    place: 'gateway',
    log: openSync(join(folder, 'portkey.log'), 'w'),
    cwd: installed,
    ipc: false,
  });
  const headers = {
    authorization: 'Bearer sk-none',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': upstream,
  };
  return ready(`Portkey ${npmVersion(installed, '@portkey-ai/gateway')}`, child, port, headers);
}

async function litellm(upstream: string): Promise<Contender> {
  const installed = await withPythonPackages(join(here, 'litellm'));
  const port = await freePort();
  const child = start({
    command: join(installed, 'venv', 'bin', 'python'),
    args: [
      join(installed, 'venv', 'bin', 'litellm'),
      ...['--config', join(installed, 'config.yaml')],
      '--host',
      '127.0.0.1',
      '--port',
      `${port}`,
    ],
    env: { BENCH_UPSTREAM: upstream, LITELLM_LOG: 'ERROR', LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
    place: 'gateway',
    log: openSync(join(folder, 'litellm.log'), 'w'),
    cwd: installed,
    ipc: false,
  });
  return ready(`LiteLLM ${pythonVersion(installed, 'litellm')}`, child, port, { authorization: 'Bearer sk-none' });
}

/** Once it passes a call on. */
async function ready(
  name: string,
  child: ChildProcess,
  port: number,
  headers: Record<string, string>,
): Promise<Contender> {
  const url = `http://127.0.0.1:${port}/v1/chat/completions`;
  const body = JSON.stringify({ model: WHOLE, messages: [{ role: 'user', content: 'Hello' }] });
  const deadline = performance.now() + READY_MS;
  let why = 'it does not answer';
  while (performance.now() < deadline && child.exitCode === null) {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      });
      const text = await response.text();
      if (response.ok) return { name, child, target: { url, headers } };
      why = `${response.status}: ${text.slice(0, 200)}`;
    } catch {
      // It does not listen yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await stop(child);
  throw new Error(child.exitCode === null ? why : `it ended with ${child.exitCode}`);
}
