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
  const beyond = new Set(one.script.flatMap((act) => runBeyond(act)));
  const refused = (name: string): boolean => one.expected[name]?.run[0] === 'RunFailed InvalidInput';
  // Where nobody decides and nobody can be asked, the command leaves the run for later.
  const decided = new Set(one.script.flatMap((act) => decisionIn(act)?.run ?? []));
  const asks = (name: string): boolean =>
    Object.values(one.expected[name]?.steps ?? {})
      .flat()
      .includes('approval');
  const leftToTime = (name: string): boolean => asks(name) && !decided.has(name);
  const runs = one.runs.filter(({ metadata: { name } }) => !beyond.has(name) && !refused(name) && !leftToTime(name));
  const script = one.script.filter((act) => 'apply' in act || 'over' in act || 'pass' in act);
  return { ...one, runs, script };
}

function decisionIn(act: Act): Decision | undefined {
  if ('approve' in act) return act.approve;
  return 'reject' in act ? act.reject : undefined;
}

/** The run of an act that has no option. */
function runBeyond(act: Act): string[] {
  if ('cancel' in act) return [act.cancel];
  if ('suspend' in act) return [act.suspend];
  return 'job' in act && act.job.failure !== undefined ? [act.job.run] : [];
}

/** @param whole the case with all of its script, from which decisions are taken */
export async function startLaptop(one: Case, whole: Case): Promise<Target> {
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
