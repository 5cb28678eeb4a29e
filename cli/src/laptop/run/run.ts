// `kadre run`: a workflow or an agent on this machine, by the engine, gateway and agents of a cluster.
import { pino } from 'pino';
import { exits, UsageError } from '../errors.ts';
import { forgetRuns, historyFolder, writeRecord } from '../history/folders.ts';
import { replay } from '../history/replay.ts';
import type { RunOptions } from '../options.ts';
import { treeLines } from '../terminal/tree.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { newView, type RunView } from '../terminal/view.ts';
import { Decider, readAnswers } from './decider.ts';
import { follow, readEvent, Signals, type Ending } from './follow.ts';
import { prepareFork, prepareNew, prepareResumed, type Prepared, type Surroundings } from './prepare.ts';
import { exitOf, resultText } from './result.ts';
import type { Environment } from './secrets.ts';
import { openSession, type Session } from './session.ts';

export async function run(
  target: string | undefined,
  options: RunOptions,
  terminal: Terminal,
  env: Environment,
): Promise<number> {
  const history = historyFolder(options.store, env);
  const modes = [options.resume, options.fork, options.replay].filter((mode) => mode !== undefined);
  if (modes.length > 1) throw new UsageError('choose one of --resume, --fork and --replay');
  if (options.replay !== undefined) return replay(history, options.replay, options, terminal);
  const answers = readAnswers(options.answer);
  const events = options.event.map(readEvent);
  const prepared = await prepare(target, options, { history, env, terminal });
  return new LaptopRun(prepared, options, terminal, history).carryOut(answers, events);
}

function prepare(target: string | undefined, options: RunOptions, around: Surroundings): Promise<Prepared> {
  const { resume, fork } = options;
  if (resume !== undefined) {
    if (target !== undefined) throw new UsageError('--resume goes on with a run as it is: leave out what to run');
    return prepareResumed(resume, options, around);
  }
  return fork === undefined
    ? prepareNew(target, options, around)
    : prepareFork({ name: fork, target }, options, around);
}

class LaptopRun {
  readonly #prepared: Prepared;
  readonly #options: RunOptions;
  readonly #terminal: Terminal;
  readonly #history: string;

  constructor(prepared: Prepared, options: RunOptions, terminal: Terminal, history: string) {
    this.#prepared = prepared;
    this.#options = options;
    this.#terminal = terminal;
    this.#history = history;
  }

  async carryOut(answers: Map<string, unknown>, events: { name: string; payload: unknown }[]): Promise<number> {
    const { record } = this.#prepared;
    const view = newView(record.pinned.workflow.steps.map(({ name }) => name));
    const session = await openSession({ ...this.#prepared, history: this.#history, logger: this.#logger() });
    const over = new AbortController();
    const signals = new Signals(
      () => this.#cancel(session),
      () => over.abort(),
    );
    try {
      const { namespace } = record.pinned;
      const { yes = false, quiet = false } = this.#options;
      const asking = { terminal: this.#terminal, yes, answers, signal: over.signal, interrupted: signals.interrupt };
      const decider = new Decider({ store: session.store, namespace, ...asking });
      const title = `${record.name} (${record.title})`;
      const shown = { terminal: this.#terminal, view, title, quiet, colour: this.#terminal.colour };
      const ending = await follow({ session, decider, events, signals, ...shown });
      over.abort();
      await decider.idle();
      return await this.#finish(ending, view, title);
    } finally {
      over.abort();
      signals.stop();
      this.#terminal.screen.release();
      await session.close();
    }
  }

  #cancel(session: Session): void {
    this.#terminal.note('Cancelling; press Ctrl-C again to leave at once.');
    session.store.cancelRun(session.uid, 'Cancelled from the terminal.').catch((error: unknown) => {
      this.#terminal.note(`The run could not be cancelled: ${error instanceof Error ? error.message : String(error)}`);
    });
  }

  async #finish(ending: Ending, view: RunView, title: string): Promise<number> {
    const { record } = this.#prepared;
    if (ending !== 'over') return this.#left(ending);
    this.#drawLast(view, title);
    await this.#remember(view);
    const { phase, failure } = view;
    if (phase !== 'Succeeded') {
      this.#terminal.note(
        `${record.name} ${phase === 'Failed' ? 'failed' : 'was cancelled'}: ${failure?.reason ?? ''}: ${failure?.message ?? ''}`,
      );
      this.#terminal.note(`To do again what did not succeed: kadre run --fork ${record.name}`);
    }
    const text = resultText(record, view, this.#options.output);
    if (text !== undefined) this.#terminal.print(text);
    return exitOf(view);
  }

  #left(ending: Exclude<Ending, 'over'>): number {
    const { name } = this.#prepared.record;
    this.#terminal.screen.release();
    if (ending === 'undecided') {
      this.#terminal.note(`${name} waits for somebody to decide, and nobody is here to ask:`);
      this.#terminal.note(
        `kadre run --resume ${name} with --yes, --answer STEP=JSON or --event NAME=JSON goes on, or asks in a terminal.`,
      );
      return exits.undecided;
    }
    this.#terminal.note(`Left; kadre run --resume ${name} goes on.`);
    return exits[ending];
  }

  /** The whole tree once more, to stay. */
  #drawLast(view: RunView, title: string): void {
    if (!this.#terminal.redraws || this.#options.quiet === true) return;
    const { rows } = this.#terminal.screen.size;
    this.#terminal.draw(treeLines(view, title, { now: Date.now(), rows, colour: this.#terminal.colour }));
    this.#terminal.screen.release();
  }

  async #remember({ phase, finishedAt, failure, cost }: RunView): Promise<void> {
    const { folder, record } = this.#prepared;
    const finished = new Date(finishedAt ?? Date.now()).toISOString();
    await writeRecord(folder, {
      ...record,
      phase: phase as 'Succeeded' | 'Failed' | 'Cancelled',
      finishedAt: finished,
      costNanoUsd: cost,
      ...(failure && { failure }),
    });
    await forgetRuns(this.#history, this.#options.keep);
  }

  #logger() {
    const level = this.#options.logLevel;
    const write = (line: string): void => this.#terminal.note(line.trimEnd());
    return pino({ level, base: null }, { write });
  }
}
