// The program `kadre`, and what the image starts.
import { isMainThread } from 'node:worker_threads';
import { Command } from 'commander';
import { pino } from 'pino';
import { lockStore } from '@kadre/store';
import packageJson from '../package.json' with { type: 'json' };
import { ConfigError, readConfig } from './config.ts';
import { createElector } from './elector.ts';
import { runRole } from './role-thread.ts';
import { supervise } from './supervisor.ts';

const entry = new URL(import.meta.url);

async function all(): Promise<void> {
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

function commandLine(): Command {
  const program = new Command('kadre')
    .description('A Kubernetes operator for AI agents.')
    .version(packageJson.version)
    .showHelpAfterError();
  program
    .command('all')
    .description('Run every role of the control plane in this process, with the embedded store.')
    .action(all);
  return program;
}

if (isMainThread) {
  try {
    await commandLine().parseAsync();
  } catch (error) {
    console.error(error instanceof ConfigError ? error.message : error);
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
} else {
  // Each role loads its own part only when its thread starts.
  await runRole({
    gateway: async () => (await import('./roles/gateway.ts')).startGateway,
    engine: async () => (await import('./roles/engine.ts')).startEngine,
    operator: async () => (await import('./roles/operator.ts')).startOperator,
  });
}
