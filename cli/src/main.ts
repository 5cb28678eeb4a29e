#!/usr/bin/env node
// The program `kadre`, and what the image starts.
import { isMainThread } from 'node:worker_threads';
import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { addLaptopCommands } from './laptop/commands.ts';
import type { CommandName } from './shifts.ts';

const entry = new URL(import.meta.url);
const WRONG_USAGE = 2;
const controlPlaneCommands: Record<CommandName, string> = {
  all: 'Run every role of the control plane in this process.',
  operator: 'Run the operator alone, which needs a store in PostgreSQL: manifests become objects, Runs become work.',
  engine: 'Run an engine alone, which needs a store in PostgreSQL: it carries out runs.',
  gateway: 'Run the gateway alone, which needs a store in PostgreSQL: agents reach their models through it.',
  server:
    'Run the server alone, which needs a store in PostgreSQL: it takes webhooks, and offers what it may over MCP.',
};

/** What a command needs is loaded when it is given: looking at a run must not wait for a Kubernetes client. */
function commandLine(): Command {
  const program = new Command('kadre')
    .description('A Kubernetes operator for AI agents.')
    .version(packageJson.version)
    .showHelpAfterError('Add --help to see what there is.')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : WRONG_USAGE));
  for (const [name, description] of Object.entries(controlPlaneCommands)) {
    program
      .command(name)
      .description(description)
      .action(async () => (await import('./control-plane.ts')).runControlPlane(name as CommandName, entry));
  }
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
    server: async () => (await import('./roles/server.ts')).startServer,
    engine: async () => (await import('./roles/engine.ts')).startEngine,
    operator: async () => (await import('./roles/operator.ts')).startOperator,
    janitor: async () => (await import('./roles/janitor.ts')).startJanitor,
  });
}
