// An engine that stands still for longer than its seat lasts, and then goes on as if nothing had happened.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openPostgresStore } from '@kadre/store';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { event, eventually, submission } from '../../../store/src/contract/fixtures.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

const TTL = 1000;

/** Renews its seat and writes to its run for as long as it may; its last word is why it may not. */
const engine = (url: string): string => `
  import { openPostgresStore } from ${JSON.stringify(new URL('../../../store/src/index.ts', import.meta.url).href)};
  const store = await openPostgresStore(${JSON.stringify(url)});
  const epoch = await store.joinEngines(${TTL});
  const [uid] = await store.claimRuns(epoch, 1);
  try {
    for (let seq = 0; ; seq++) {
      await store.append(uid, seq, [{ at: 1, type: 'theirs', data: seq }], { epoch });
      console.log(seq);
      await store.renewEngine(epoch, ${TTL});
    }
  } catch (error) {
    console.log(error.name);
  }
  await store.close();`;

test('finds that its runs are another’s, and writes nothing more', async () => {
  const url = server.url('paused');
  const store = await openPostgresStore(url);
  await store.submitRun(submission('u1'));
  const child = spawn(process.execPath, ['--input-type=module', '-e', engine(url)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
  const exit = once(child, 'exit');
  await eventually(() => said[5]);
  child.kill('SIGSTOP');

  const epoch = await store.joinEngines(600_000);
  const [uid] = await eventually(async () => {
    const claimed = await store.claimRuns(epoch, 1);
    return claimed.length > 0 ? claimed : undefined;
  });
  expect(uid).toBe('u1');
  const theirs = await store.events('u1');
  await store.append('u1', theirs.length, [event('ours')], { epoch });
  child.kill('SIGCONT');
  await exit;

  expect(said.at(-1)).toBe('FencedError');
  const types = (await store.events('u1')).map(({ type }) => type);
  expect(types).toEqual([...theirs.map(({ type }) => type), 'ours']);
  expect(types.filter((type) => type === 'theirs').length).toBeGreaterThanOrEqual(said.length - 1);
  await store.close();
});
