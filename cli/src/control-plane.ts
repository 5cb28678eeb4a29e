// The control plane's commands: every role in one process, or one of them alone.
import { lockStore } from '@kadre/store';
import { pino } from 'pino';
import { ConfigError, readConfig, type Config } from './config.ts';
import { createElector } from './elector.ts';
import { shiftsOf, type CommandName } from './shifts.ts';
import { supervise } from './supervisor.ts';

/** @param entry the program, which each role's thread runs again */
export async function runControlPlane(command: CommandName, entry: URL): Promise<void> {
  const { always, leading } = shiftsOf(command, true);
  const config = readConfig(process.env, [...always, ...leading]);
  refuseLoneRole(command, config);
  const logger = pino({ level: config.logLevel, name: 'kadre' });
  const { store } = config;
  await supervise({
    config,
    shifts: shiftsOf(command, 'url' in store),
    entry,
    logger,
    elector: (registry) => createElector(config, logger, registry),
    lockStore: () => ('file' in store ? lockStore(store.file) : () => undefined),
    exit: (code) => process.exit(code),
  });
}

function refuseLoneRole(command: CommandName, { store }: Config): void {
  if (command === 'all' || 'url' in store) return;
  throw new ConfigError(
    `kadre ${command} shares its store with the other roles, which takes PostgreSQL: set KADRE_STORE_URL, or run all roles ` +
      'in one process with kadre all',
  );
}
