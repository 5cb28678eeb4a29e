// The commands that need no cluster, and their options. What carries them out is loaded when one is given.
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { exits, UsageError } from './errors.ts';
import type { HistoryOptions, McpOptions, Output, RunOptions } from './options.ts';
import type { Terminal } from './terminal/terminal.ts';
import type { ValidateOptions } from './validate.ts';

/** An option that may come several times; absent, it is an empty list. */
function list(flags: string, description: string): Option {
  const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  return new Option(flags, `${description}; repeatable`).argParser(collect);
}

const noLists = { file: [], input: [], limits: [], event: [], answer: [], stub: [], agent: [], tool: [] };

const STORE = 'folder of the history (default: $KADRE_STORE, or kadre below $XDG_STATE_HOME or ~/.local/state)';

export function addLaptopCommands(program: Command): void {
  addRun(program);
  addValidate(program);
  addMcp(program);
  program
    .command('runs')
    .description('List the runs of this machine, the latest first.')
    .option('--store <dir>', STORE)
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .action(({ store, output }: HistoryOptions & { output: 'text' | 'json' }) =>
      carryOut(async (terminal) => {
        const [{ showRuns }, { historyFolder }] = await Promise.all([
          import('./history/look-back.ts'),
          import('./history/folders.ts'),
        ]);
        return showRuns(historyFolder(store, process.env), output, terminal);
      }),
    );
  program
    .command('show <run>')
    .description('Show a run of this machine: its steps, and its output.')
    .option('--store <dir>', STORE)
    .addOption(outputOption())
    .action((name: string, { store, output }: HistoryOptions & { output: Output }) =>
      carryOut(async (terminal) => {
        const [{ showRun }, { historyFolder }] = await Promise.all([
          import('./history/look-back.ts'),
          import('./history/folders.ts'),
        ]);
        return showRun(historyFolder(store, process.env), name, output, terminal);
      }),
    );
}

function addRun(program: Command): void {
  program
    .command('run [target]')
    .description('Run a workflow or an agent on this machine, without a cluster.')
    .addHelpText('after', RUN_HELP)
    .addOption(list('-f, --file <path>', 'manifests: a file, a folder with all below it, or - for standard input'))
    .option('-n, --namespace <name>', 'namespace of manifests that name none', 'default')
    .option('--prompt <text>', 'what to ask the agent; with --fork and --from, what to ask at that step')
    .addOption(
      list('-i, --input <name=value>', 'one field of the input, as JSON or text; or all of it as a JSON object'),
    )
    .option('--input-file <path>', 'the input as JSON or YAML; - for standard input')
    .addOption(list('--limits <name=value>', 'such as costUsd=0.50,duration=10m,tokens=100000,steps=50'))
    .addOption(list('--event <name=json>', 'publish this event once the run has started'))
    .option('-y, --yes', 'approve whatever the run asks for')
    .addOption(list('--answer <step=json>', 'decide this approval: true, false, or what its form asks for'))
    .addOption(list('--stub <step=json>', 'the output of a container or code step, which cannot run here'))
    .addOption(list('--agent <name=url>', 'ask this agent where it is served already, by A2A'))
    .addOption(list('--tool <name=url>', 'where the MCP server of this Tool runs, whose image cannot run here'))
    .addOption(outputOption())
    .option('-q, --quiet', 'show no progress')
    .addOption(
      new Option('--log-level <level>', 'of engine, gateway and agents')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('silent'),
    )
    .option('--store <dir>', STORE)
    .option('--name <name>', 'name of the run; made up if absent')
    .option('--keep <number>', 'how many runs that are over the history keeps', wholeNumber, 100)
    .option('--resume <run>', 'go on with a run that was left')
    .option('--fork <run>', 'a new run that takes over what another has recorded')
    .option('--from <step>', 'with --fork: do this step and what rests on it anew; absent: whatever did not succeed')
    .option('--replay <run>', 'read a recorded run again from its log, carrying nothing out')
    .action((target: string | undefined, options: RunOptions) =>
      carryOut(async (terminal) => {
        const { run } = await import('./run/run.ts');
        return run(target, { ...noLists, ...options }, terminal, process.env);
      }),
    );
}

const RUN_HELP = `
What to run is workflow/NAME, run/NAME, or agent/NAME with --prompt; it may be left out where there is only one.

Exit status: 0 succeeded, 1 failed, 2 wrong usage or manifests, 3 cancelled, 4 waits for a decision and nobody is there,
130 left by a second Ctrl-C, 143 left by SIGTERM. A run that was left goes on with kadre run --resume RUN.`;

function addValidate(program: Command): void {
  program
    .command('validate')
    .description('Check manifests as the API server and the operator would, without a cluster.')
    .addOption(
      list('-f, --file <path>', 'a file, a folder with all below it, or - for standard input').makeOptionMandatory(),
    )
    .option('-n, --namespace <name>', 'namespace of manifests that name none', 'default')
    .option('--allow-missing', 'warn only about objects that are named and not among the manifests')
    .option('-q, --quiet', 'say nothing if nothing is wrong')
    .addOption(new Option('-o, --output <format>').choices(['text', 'json']).default('text'))
    .action((options: ValidateOptions) =>
      carryOut(async (terminal) => {
        const { validate } = await import('./validate.ts');
        return validate(options, terminal);
      }),
    );
}

function addMcp(program: Command): void {
  program
    .command('mcp')
    .description(
      'Offer the Workflows and Agents that are labelled kadre.dev/offer: mcp to an MCP client, on standard input and output.',
    )
    .addOption(list('-f, --file <path>', 'manifests: a file, or a folder with all below it').makeOptionMandatory())
    .option('-n, --namespace <name>', 'namespace of manifests that name none', 'default')
    .option('--store <dir>', STORE)
    .action((options: McpOptions) =>
      carryOut(async (terminal) => {
        const { mcp } = await import('./mcp/mcp.ts');
        return mcp(options, terminal);
      }),
    );
}

function outputOption(): Option {
  const formats: Output[] = ['text', 'json', 'yaml'];
  return new Option('-o, --output <format>', 'text: the output alone; json, yaml: how the run ended, too')
    .choices(formats)
    .default('text');
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('It must be a whole number.');
  return number;
}

/** Ends the process with the status that the command gives. */
async function carryOut(command: (terminal: Terminal) => Promise<number>): Promise<void> {
  quietWarnings();
  // Most of the time until the first step starts goes into compiling what is loaded.
  enableCompileCache(join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kadre'));
  const { Terminal } = await import('./terminal/terminal.ts');
  const terminal = new Terminal(process, process.env);
  process.exitCode = await command(terminal).catch((error: unknown) => {
    if (!(error instanceof UsageError)) throw error;
    terminal.note(error.message);
    return exits.usage;
  });
}

/** Node says of its own SQLite that it is experimental; that is no news for whoever runs a workflow. */
function quietWarnings(): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name !== 'ExperimentalWarning') console.error(`${warning.name}: ${warning.message}`);
  });
}
