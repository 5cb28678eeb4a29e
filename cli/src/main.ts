#!/usr/bin/env node
// The program `kadre`, and what the image starts.
import { isMainThread } from 'node:worker_threads';
import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addLaptopCommands } from './laptop/commands.ts';

const entry = new URL(import.meta.url);
const WRONG_USAGE = 2;

/** What a command needs is loaded when it is given: looking at a run must not wait for a Kubernetes client. */
function commandLine(): Command {
  const program = new Command('kadre')
    .description('A Kubernetes operator for AI agents.')
    .version(packageJson.version)
    .showHelpAfterError('Add --help to see what there is.')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : WRONG_USAGE));
  program
    .command('all')
    .description('Run every role of the control plane in this process, with the embedded store.')
    .action(async () => (await import('./all.ts')).all(entry));
  addLaptopCommands(program);
  return program;
}

if (isMainThread) {
  try {
    await commandLine().parseAsync();
  } catch (error) {
    const wrongUsage = error instanceof Error && error.name === 'ConfigError';
    console.error(wrongUsage ? error.message : error);
    process.exit(wrongUsage ? WRONG_USAGE : 1);
  }
} else {
  const { runRole } = await import('./role-thread.ts');
  // Each role loads its own part only when its thread starts.
  await runRole({
    gateway: async () => (await import('./roles/gateway.ts')).startGateway,
    engine: async () => (await import('./roles/engine.ts')).startEngine,
    operator: async () => (await import('./roles/operator.ts')).startOperator,
  });
}
