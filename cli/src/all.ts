// Every role of the control plane in one process.
import { pino } from 'pino';
import { lockStore } from '@kadre/store';
import { readConfig } from './config.ts';
import { createElector } from './elector.ts';
import { supervise } from './supervisor.ts';

/** @param entry the program, which each role's thread runs again */
export async function all(entry: URL): Promise<void> {
  const config = readConfig(process.env);
  const logger = pino({ level: config.logLevel, name: 'kadre' });
  await supervise({
    config,
    entry,
    logger,
    elector: (registry) => createElector(config, logger, registry),
    lockStore: () => lockStore(config.storePath),
    exit: (code) => process.exit(code),
  });
}
