// A case as `kadre run` plays it: each Run is a command of its own, and what people decide is given along with it.
import type { RunStatus } from '@kadre/crds';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFolder } from '../../../cli/src/laptop/history/folders.ts';
import type { RunOptions } from '../../../cli/src/laptop/options.ts';
import { readLog } from '../../../cli/src/laptop/run/prepare.ts';
import { run as kadreRun } from '../../../cli/src/laptop/run/run.ts';
import { Terminal } from '../../../cli/src/laptop/terminal/terminal.ts';
import { ensureBubblewrap } from '../../support/bubblewrap.ts';
import type { Act, Decision } from './act.ts';
import { folderOf, type Case } from './case.ts';
import type { Target } from './target.ts';

/** What `kadre run -o json` says. */
interface Result {
  phase: NonNullable<RunStatus['phase']>;
  output: unknown;
  failure?: { reason: string; message: string };
}

/** As much of the case as a command can play: nobody is there to signal, pause or stop it, and no other run beside it. */
export function forLaptop(one: Case): Case | undefined {
  if (one.script.some((act) => 'publish' in act)) return undefined;
  const runs = one.runs.filter(({ metadata }) => isForLaptop(one, metadata.name));
  const script = one.script.filter((act) => 'apply' in act || 'over' in act || 'pass' in act);
  return { ...one, runs, script };
}

function isForLaptop({ script, expected }: Case, name: string): boolean {
  const { run = [], steps = {} } = expected[name] ?? {};
  // The command itself refuses such an input; there is no run.
  if (run[0] === 'RunFailed InvalidInput') return false;
  if (script.some((act) => ('cancel' in act ? act.cancel === name : 'suspend' in act && act.suspend === name)))
    return false;
  // People and pods must be played; where nobody answers in time, the command leaves the run for later.
  const answered = script.some(
    (act) => decisionIn(act)?.run === name || ('job' in act && act.job.run === name && act.job.failure === undefined),
  );
  return answered || !Object.values(steps).some((words) => words.includes('approval') || words.includes('job'));
}

function decisionIn(act: Act): Decision | undefined {
  if ('approve' in act) return act.approve;
  return 'reject' in act ? act.reject : undefined;
}

/** @param whole the case with all of its script, from which decisions are taken */
export async function startLaptop(one: Case, whole: Case): Promise<Target> {
  await ensureBubblewrap();
  const store = await mkdtemp(join(tmpdir(), 'kadre-conformance-'));
  const results = new Map<string, Result>();
  const stubbed = new Set(whole.script.flatMap((act) => ('job' in act ? [act.job.run] : [])));
  const never = (what: string) => (): never => {
    throw new Error(`kadre run has no way to ${what}`);
  };
  return {
    apply: async (run) => {
      const { name } = run.metadata;
      const options = { ...optionsFor(whole, run), store };
      const target = run.spec.fork ? undefined : `run/${name}`;
      results.set(name, await command(target, options));
    },
    status: (run) => {
      const { phase, output } = results.get(run) ?? {};
      const status = phase && { phase, steps: [], ...(phase === 'Succeeded' && { output }) };
      return Promise.resolve(status as RunStatus | undefined);
    },
    failure: (run) => Promise.resolve(results.get(run)?.failure),
    log: async (run) => {
      if (stubbed.has(run)) return undefined;
      const { folder, record } = await openFolder(store, run);
      return (await readLog(folder, record)).events;
    },
    asked: () => undefined,
    pass: (milliseconds) => sleep(milliseconds),
    cancel: never('cancel'),
    suspend: never('suspend'),
    decide: never('decide later'),
    publish: never('publish later'),
    endJob: never('end a job'),
    deaths: () => 0,
    close: () => rm(store, { recursive: true }),
  };
}

function optionsFor({ name, script }: Case, { metadata, spec }: Case['runs'][number]): RunOptions {
  const { fork, input } = spec;
  const answer = script.flatMap((act) => {
    const { run, step, answer: given = true } = decisionIn(act) ?? {};
    return run === metadata.name ? [`${step ?? ''}=${JSON.stringify('approve' in act ? given : false)}`] : [];
  });
  const stub = script.flatMap((act) =>
    'job' in act && act.job.run === metadata.name ? [`${act.job.step}=${JSON.stringify(act.job.output)}`] : [],
  );
  const manifests = ['workflow.yaml', 'run.yaml'].map((file) => join(folderOf(name), file));
  return {
    ...{
      namespace: 'default',
      limits: [],
      event: [],
      agent: [],
      tool: [],
      output: 'json',
      quiet: true,
      logLevel: 'silent',
      keep: 100,
    },
    ...{ name: metadata.name, answer, stub },
    file: fork ? [] : manifests,
    input: fork && input !== undefined ? [JSON.stringify(input)] : [],
    ...(fork && { fork: fork.run }),
    ...(fork?.from !== undefined && { from: fork.from }),
    ...(fork?.prompt !== undefined && { prompt: fork.prompt }),
  };
}

async function command(target: string | undefined, options: RunOptions): Promise<Result> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const said = Promise.all([text(stdout), text(stderr)]);
  try {
    await kadreRun(target, options, new Terminal({ stdin, stdout, stderr }, {}), {});
  } finally {
    stdout.end();
    stderr.end();
  }
  const [result, notes] = await said;
  if (result === '') throw new Error(`kadre run ended without a result: ${notes}`);
  return JSON.parse(result) as Result;
}
