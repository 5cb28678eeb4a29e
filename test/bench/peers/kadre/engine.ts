// Kadre's engine on the store that is asked for. A value step is a step without a pod and without a call, as the steps of
// the other engines are; an agent step asks an agent over HTTP, in another process.
import { startEngine } from '@kadre/engine';
import { openStore } from '@kadre/store';
import { fork } from 'node:child_process';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { dataFolder, serve } from '../serve.ts';
import type { Endpoints } from './endpoints.ts';

const store = await openStore(process.env['BENCH_STORE'] ?? join(dataFolder, 'kadre.db'));
const endpoints = await startEndpoints();
await startEngine({
  store,
  agents: { resolve: () => ({ found: true, serving: true, url: endpoints.agent }) },
  logger: pino({ level: 'fatal' }),
  signal: new AbortController().signal,
});

const value = { name: 'step', value: '$(run.name)' };
const agent = { name: 'step', agent: { name: 'echo', prompt: '$(run.name)' } };
const step = process.env['BENCH_STEPS'] === 'agent' ? agent : value;

let runs = 0;
const open = new Map<string, (phase: string) => void>();
store.subscribe('projections', (uid) => void settle(uid));

serve({
  chain: (count) => run({ ...step, repeat: { max: count } }),
  'fan-out': (count) => run({ ...step, forEach: { items: '$(input)' } }, [...Array(count).keys()]),
  runs: (count) => Promise.all(Array.from({ length: count }, () => run(step))),
  // What a chain of agent steps cannot be faster than: as many requests, one after the other.
  'http-chain': async (count) => {
    const connection = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < count; i++) await post(endpoints.bare, JSON.stringify({ round: i }), connection);
    connection.destroy();
  },
});

/** Resolves when the run has succeeded. */
async function run(only: object, input: unknown = null): Promise<void> {
  const uid = `run-${++runs}`;
  const over = new Promise<string>((resolve) => open.set(uid, resolve));
  await store.submitRun({ uid, namespace: 'bench', name: uid, subject: 'bench', workflow: { steps: [only] }, input });
  const phase = await over;
  if (phase !== 'Succeeded') throw new Error(`the run ended as ${phase}`);
}

async function settle(uid: string): Promise<void> {
  const projection = await store.projection(uid);
  const { phase = '' } = projection?.status ?? {};
  if (!['Succeeded', 'Failed', 'Cancelled'].includes(phase)) return;
  open.get(uid)?.(projection?.failure ? `${phase}: ${projection.failure.message}` : phase);
  open.delete(uid);
}

/** In a process of their own, as agents are; it ends with this one. */
function startEndpoints(): Promise<Endpoints> {
  const child = fork(process.argv[1] ?? '', ['endpoints'], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('message', (urls) => resolve(urls as Endpoints)).once('error', reject);
  });
}

function post(url: string, body: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', agent }, (response) => response.resume().on('end', resolve));
    call.on('error', reject).end(body);
  });
}
