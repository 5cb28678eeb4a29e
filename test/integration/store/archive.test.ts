// Whether what Kadre archives can be read with the tools that people have.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  enforceRetention,
  openFolder,
  openS3,
  openSqliteStore,
  type Describe,
  type NewEvent,
  type ObjectStore,
} from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { capture } from '../../cluster/command.ts';
import { ensurePython } from './python.ts';
import { startS3Server, type S3Server } from './s3-server.ts';

const DAY = 86_400_000;
const FIRST = Date.UTC(2026, 0, 30, 23, 59, 59, 123);

let python: string;
let server: S3Server;
let folder: string;
beforeAll(async () => {
  [python, server] = await Promise.all([
    ensurePython(['duckdb==2.0.0', 'pandas==3.1.1', 'pyarrow==26.0.1']),
    startS3Server(),
  ]);
  folder = await mkdtemp(path.join(tmpdir(), 'kadre-archive-'));
  await archiveInto(await openFolder(path.join(folder, 'archive')));
  await archiveInto(openS3({ ...server.options, prefix: 'archive' }));
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

async function read(...args: string[]): Promise<unknown> {
  const script = path.join(import.meta.dirname, 'read_archive.py');
  return JSON.parse(await capture(python, [script, ...args])) as unknown;
}

const describeEvent: Describe = ({ uid, namespace, name, subject }, { seq, at, type, data }) => {
  const event = { run: uid, namespace, name, subject, seq, at, type, data: JSON.stringify(data) };
  if (type === 'RunSucceeded') {
    return { ...event, what: 'The run succeeded.', alternatives: [], inputs: [], who: 'engine', version: '0.1.0' };
  }
  return {
    ...event,
    step: 'research[2]',
    attempt: 1,
    what: 'The step “research[2]” succeeded.',
    why: 'The agent answered.',
    alternatives: ['wait', 'fail'],
    inputs: ['input', '1'],
    who: 'agent writer',
    version: '0.1.0',
    costNanoUsd: 9_000_000_000_000_000,
    inputTokens: 1_000,
    outputTokens: 0,
  };
};

async function archiveInto(sink: ObjectStore): Promise<void> {
  const store = openSqliteStore(path.join(folder, `${crypto.randomUUID()}.db`));
  for (const [index, uid] of ['u1', 'u2', 'u3'].entries()) {
    const at = FIRST + index * DAY;
    const log: NewEvent[] = [
      { at, type: 'StepSucceeded', data: { topic: `tópico ${index} 🦀` } },
      { at, type: 'RunSucceeded', data: null },
    ];
    await store.submitRun({
      uid,
      namespace: 'team',
      name: `run-${uid}`,
      subject: 'article',
      workflow: {},
      input: null,
    });
    await store.append(uid, 0, log, { closed: true });
  }
  await enforceRetention(store, { keepDays: 1 }, FIRST + 10 * DAY, { sink, describe: describeEvent });
  await store.close();
}

const DATES = ['2026-01-30', '2026-01-31', '2026-02-01'];

test('DuckDB reads an archive with the right types, and answers questions about it', async () => {
  const common = { namespace: 'team', subject: 'article', version: '0.1.0' };
  const rows = DATES.flatMap((date, index) => {
    const run = { ...common, run: `u${index + 1}`, name: `run-u${index + 1}`, date, time: `${date} 23:59:59.123+00` };
    const nothing = {
      step: null,
      attempt: null,
      why: null,
      cost_nano_usd: null,
      input_tokens: null,
      output_tokens: null,
    };
    return [
      {
        ...run,
        seq: 1,
        type: 'StepSucceeded',
        step: 'research[2]',
        attempt: 1,
        what: 'The step “research[2]” succeeded.',
        why: 'The agent answered.',
        alternatives: ['wait', 'fail'],
        inputs: ['input', '1'],
        who: 'agent writer',
        cost_nano_usd: 9_000_000_000_000_000,
        input_tokens: 1_000,
        output_tokens: 0,
        data: `{"topic":"tópico ${index} 🦀"}`,
      },
      {
        ...run,
        ...nothing,
        seq: 2,
        type: 'RunSucceeded',
        what: 'The run succeeded.',
        alternatives: [],
        inputs: [],
        who: 'engine',
        data: 'null',
      },
    ];
  });
  expect(await read('duckdb', path.join(folder, 'archive'))).toEqual({
    types: {
      run: 'VARCHAR',
      namespace: 'VARCHAR',
      name: 'VARCHAR',
      subject: 'VARCHAR',
      seq: 'INTEGER',
      time: 'TIMESTAMP WITH TIME ZONE',
      type: 'VARCHAR',
      step: 'VARCHAR',
      attempt: 'INTEGER',
      what: 'VARCHAR',
      why: 'VARCHAR',
      alternatives: 'VARCHAR[]',
      inputs: 'VARCHAR[]',
      who: 'VARCHAR',
      version: 'VARCHAR',
      cost_nano_usd: 'BIGINT',
      input_tokens: 'BIGINT',
      output_tokens: 'BIGINT',
      data: 'VARCHAR',
      date: 'DATE',
    },
    rows,
    costs: DATES.map((date, index) => [date, 9_000_000_000_000_000, 1, [`tópico ${index} 🦀`]]),
    waited: [3],
  });
});

test('pandas reads a whole archive by the name of its folder, with times in UTC', async () => {
  expect(await read('pandas', path.join(folder, 'archive'))).toMatchObject({
    types: { run: 'str', seq: 'int32', time: 'datetime64[ms, UTC]', cost_nano_usd: 'float64', alternatives: 'object' },
    time: DATES.flatMap((date) => Array(2).fill(`${date}T23:59:59.123000+00:00`) as string[]),
    dates: DATES.flatMap((date) => [date, date]),
    alternatives: DATES.flatMap(() => [['wait', 'fail'], []]),
    cost: 27_000_000_000_000_000,
    without_step: 3,
  });
});

test('Arrow reads an archive out of a bucket', async () => {
  const { endpoint, bucket, credentials } = server.options;
  const { accessKeyId, secretAccessKey } = (await credentials?.()) ?? { accessKeyId: '', secretAccessKey: '' };
  const found = await read('s3', new URL(endpoint).host, `${bucket}/archive`, accessKeyId, secretAccessKey);
  expect(found).toMatchObject({
    types: {
      run: 'string',
      seq: 'int32',
      time: 'timestamp[ms, tz=UTC]',
      alternatives: 'list<element: string not null>',
      cost_nano_usd: 'int64',
    },
    rows: ['u1', 'u2', 'u3'].flatMap((run) => [
      [run, 1],
      [run, 2],
    ]),
  });
});
