// Temporal's development server on a SQLite file, WAL and full sync as in Kadre's own store; the worker in this process.
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { join } from 'node:path';
import { dataFolder, freePort, inParallel, patiently, serve, startServer } from './serve.ts';

const port = await freePort();
const options = {
  ip: '127.0.0.1',
  port,
  'db-filename': join(dataFolder, 'temporal.db'),
  'log-level': 'error',
  // By default its one shard takes up 20 batches of tasks a second; a chain is then ten times as slow.
  'dynamic-config-value': 'history.transferProcessorMaxPollRPS=10000',
};
const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
const pragmas = ['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=FULL'];
startServer(process.env.BENCH_SERVER, ['server', 'start-dev', '--headless', ...flags, ...pragmas], {
  HOME: dataFolder,
});

const address = `127.0.0.1:${port}`;
const taskQueue = 'bench';
Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await patiently(() => Connection.connect({ address }));
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  workflowsPath: join(import.meta.dirname, 'workflows.mjs'),
  activities: { step: async (i) => i },
  taskQueue,
});
worker.run().catch((error) => {
  console.error(error);
  process.exit(1);
});

const { workflow } = new Client({ connection });
let ids = 0;
const start = (type, count) => workflow.start(type, { args: [count], taskQueue, workflowId: String(++ids) });
const execute = async (type, count) => (await start(type, count)).result();

serve({
  chain: (count) => execute('chain', count),
  'fan-out': (count) => execute('fanOut', count),
  runs: async (count) => {
    const started = [];
    await inParallel(count, 64, async () => started.push(await start('chain', 1)));
    await inParallel(count, 64, (i) => started[i].result());
  },
});
