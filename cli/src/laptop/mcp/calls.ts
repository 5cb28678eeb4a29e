// Each call is a `kadre run` of its own: it is in the history, and a call that goes wrong takes nothing else with it.
import type { RunSpec } from '@kadre/crds';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { exits } from '../errors.ts';
import type { McpOptions } from '../options.ts';

type End = { output: unknown } | { problem: string };
type Spec = Pick<RunSpec, 'workflow' | 'agent' | 'input'>;

const MOST = 8;

export interface Calls {
  run: (spec: Spec, signal: AbortSignal) => Promise<End>;
  /** Cancels those at work, and waits for them. */
  stop(): Promise<void>;
}

export function createCalls(options: McpOptions): Calls {
  const working = new Map<() => void, Promise<End>>();
  return {
    run: async (spec, signal) => {
      if (working.size >= MOST) return { problem: `${MOST} runs are at work already: call again later.` };
      signal.throwIfAborted();
      const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...argsOf(spec, options)]);
      let isCancelled = false;
      // A second signal would leave the run as it is.
      const cancel = (): void => {
        if (!isCancelled) isCancelled = child.kill('SIGINT');
      };
      signal.addEventListener('abort', cancel, { once: true });
      const ending = endOf(child, spec);
      working.set(cancel, ending);
      return ending.finally(() => {
        working.delete(cancel);
        signal.removeEventListener('abort', cancel);
      });
    },
    stop: async () => {
      for (const cancel of working.keys()) cancel();
      await Promise.allSettled(working.values());
    },
  };
}

function argsOf({ workflow, agent }: Spec, { file, namespace, store }: McpOptions): string[] {
  const what = agent ? [`agent/${agent.name}`, `--prompt=${agent.prompt}`] : [`workflow/${workflow?.name ?? ''}`];
  return [
    ...['run', ...what, '--namespace', namespace, '--output', 'json', '--quiet'],
    ...file.flatMap((path) => ['--file', path]),
    ...(agent ? [] : ['--input-file', '-']),
    ...(store === undefined ? [] : ['--store', store]),
  ];
}

async function endOf(child: ReturnType<typeof spawn>, { input }: Spec): Promise<End> {
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) return { problem: 'A run could not be started.' };
  stdin.on('error', () => undefined).end(input === undefined ? '' : JSON.stringify(input));
  const ended = new Promise<number | null>((resolve) =>
    child.once('error', () => resolve(null)).once('close', resolve),
  );
  const [said, told, status] = await Promise.all([text(stdout), text(stderr), ended]);
  const isOver = status === exits.succeeded || status === exits.failed || status === exits.cancelled;
  if (!isOver || said === '') return { problem: told.trim() || 'The run ended without a word.' };
  const { name, phase, output, failure } = JSON.parse(said) as {
    name: string;
    phase: string;
    output: unknown;
    failure?: { reason: string; message: string };
  };
  if (phase === 'Succeeded') return { output };
  return { problem: `Run ${name} failed (${failure?.reason ?? phase}): ${failure?.message ?? ''}` };
}
