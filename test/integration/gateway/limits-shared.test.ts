// Gateways that share a store share the limits of Models, and what one of them leaves behind.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openPostgresStore, type Store } from '@kadre/store';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { startBed, until, user, type Bed } from './bed.ts';
import { startHeldProvider, type HeldProvider } from './held-provider.ts';
import { HEARTBEAT_MS, SHARED_LIMITS } from './sharing.ts';

const PROGRAM = join(import.meta.dirname, 'sharing-gateway.ts');

let server: PostgresServer;
let store: Store;
let provider: HeldProvider;
let bed: Bed;
let other: ChildProcess;
/** What the other gateway said. */
const said: Record<string, unknown>[] = [];

beforeAll(async () => {
  server = await startPostgres();
  provider = await startHeldProvider();
  store = await openPostgresStore(server.url());
  bed = await startBed({ store, limits: { allowLoopback: true, heartbeatMs: HEARTBEAT_MS } });
  bed.model('m', { provider: 'openaiCompatible', model: 'm', baseUrl: provider.url, limits: SHARED_LIMITS });
  other = spawn(process.execPath, [PROGRAM, server.url(), provider.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  if (!other.stdout) throw new Error('the other gateway has no output');
  createInterface({ input: other.stdout }).on('line', (line) => {
    said.push(JSON.parse(line) as Record<string, unknown>);
  });
});
afterAll(async () => {
  other.kill('SIGKILL');
  await bed.close();
  await store.close();
  await provider.close();
  await server.remove();
});

const heldOf = (name: string): number => provider.held().filter((prompt) => prompt === name).length;
const askFour = (client: OpenAI, prompt: string): Promise<unknown>[] =>
  Array.from({ length: 4 }, () =>
    client.chat.completions.create({ model: 'm', messages: user(prompt) }).catch((error: unknown) => error),
  );

test('two gateways take half of a limit each, and when one is killed the other takes the whole', async () => {
  await until(() => said.some(({ url }) => url !== undefined) && said.some(({ gateways }) => gateways === 2));
  await until(() => bed.log().includes('"gateways":2'));
  const theirs = new OpenAI({
    baseURL: `${String(said.find(({ url }) => url !== undefined)?.['url'])}/v1`,
    apiKey: 't',
    maxRetries: 0,
  });
  const calls = [...askFour(bed.client(), 'mine'), ...askFour(theirs, 'theirs')];
  await until(() => heldOf('mine') === 2 && heldOf('theirs') === 2);
  // Whoever is answered makes room for one of the same gateway.
  for (let answered = 0; answered < 2; answered++) {
    const [oldest] = provider.held();
    const before = provider.asked.length;
    provider.answer();
    await until(() => provider.asked.length > before);
    expect([provider.asked.at(-1), provider.held().length]).toEqual([oldest, 4]);
  }

  const more = askFour(bed.client(), 'mine');
  other.kill('SIGKILL');
  await once(other, 'exit');
  await until(() => heldOf('mine') === 4);
  expect(heldOf('theirs')).toBe(0);
  provider.always(200);
  while (provider.held().length > 0) provider.answer();
  await Promise.all([...calls, ...more]);
  expect(bed.lines().filter(({ status }) => status !== 200)).toEqual([]);
});
