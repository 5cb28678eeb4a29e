// An engine in a process of its own, which may be killed. Arguments: the store's file, the agent's name and address, the
// collector's address.
import { startEngine } from '@kadre/engine';
import { openSqliteStore } from '@kadre/store';
import { startTracing } from '@kadre/telemetry';
import pino from 'pino';

const [path = '', agent = '', url = '', endpoint = ''] = process.argv.slice(2);
const logger = pino({ level: 'warn' });
const { spans } = await startTracing({
  endpoint,
  sampleRatio: 1,
  service: 'kadre-engine',
  version: '1',
  instance: String(process.pid),
  logger,
  limits: { delayMs: 1 },
});
await startEngine({
  store: openSqliteStore(path),
  agents: {
    resolve: (_, name) => (name === agent ? { found: true, serving: true, url } : { found: false, serving: false }),
  },
  logger,
  spans,
  signal: new AbortController().signal,
  limits: { poll: 50, seat: 500 },
});
process.stdout.write('ready\n');
