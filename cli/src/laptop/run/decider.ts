// What a run waits for and only people can give: decisions, and events from outside.
import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { schemaProblem } from '@kadre/engine';
import type { ApprovalRecord, Store } from '@kadre/store';
import { UsageError } from '../errors.ts';
import { askApproval, askPayload, askWords, type Verdict } from '../terminal/ask.ts';
import { time } from '../terminal/format.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { RunView, StepView } from '../terminal/view.ts';
import type { Family, Member } from './family.ts';
import { jsonOrText, pair } from './input.ts';

export interface DeciderOptions {
  store: Store;
  namespace: string;
  terminal: Terminal;
  /** Approve whatever is asked. */
  yes: boolean;
  /** By step: true or false, or what its form asks for. */
  answers: ReadonlyMap<string, unknown>;
  /** Aborts when the run ends: nobody is asked any more. */
  signal: AbortSignal;
  /** Ctrl-C while a question is open. */
  interrupted: () => void;
}

export function readAnswers(texts: readonly string[]): Map<string, unknown> {
  return new Map(texts.map((text) => pair(text, '--answer')).map(([step, value]) => [step, jsonOrText(value)]));
}

const TAKEN_WITHIN_MS = 1_000;

export class Decider {
  readonly #options: DeciderOptions;
  /** Nobody can or wants to decide these now: the attempt that waits, by what it waits for. */
  readonly #left = new Map<string, string>();
  /** When an event was published for them, by attempt. */
  readonly #answered = new Map<string, number>();
  #asking: Promise<void> | undefined;

  constructor(options: DeciderOptions) {
    this.#options = options;
  }

  /** Decides what can be decided; asks for the rest, one after the other. */
  async look(family: Family): Promise<void> {
    for (const approval of await this.#options.store.openApprovals()) {
      const { key, run, step, attempt } = approval;
      if (this.#left.has(key)) continue;
      const given = this.#given(approval);
      if (given) await this.#decide(approval, given);
      else this.#ask(key, attemptOf(run.uid, topOf(step), attempt), () => this.#askDecision(approval, family));
    }
    for (const member of family.members) this.#lookAtEvents(member);
  }

  #lookAtEvents({ uid, view }: Member): void {
    for (const step of live(view)) {
      const { waitsFor } = step;
      const key = attemptOf(uid, step.id, step.attempt);
      if (waitsFor?.kind !== 'event' || this.#left.has(key)) continue;
      // The step may be just about to take it; if its filter does not, the question comes again.
      if (Date.now() - (this.#answered.get(key) ?? 0) < TAKEN_WITHIN_MS) continue;
      this.#ask(key, key, () => this.#askEvent(key, step, waitsFor.name));
    }
  }

  /** Whether nothing will ever happen unless somebody decides, and nobody does. */
  isStuck(family: Family): boolean {
    if (this.#asking) return false;
    const left = new Set(this.#left.values());
    return family.members.every((member) => {
      const steps = live(member.view);
      const isLeft = ({ id, attempt }: StepView): boolean =>
        left.has(attemptOf(member.uid, id, attempt)) ||
        family.hasAsked(member, (asker) => topOf(asker.step) === id && asker.attempt === attempt);
      return steps.length > 0 && steps.every(isLeft);
    });
  }

  /** Resolves when no question is open any more. */
  async idle(): Promise<void> {
    await this.#asking;
  }

  /** Publishes an event; steps that wait for it go on. */
  async publish(name: string, payload: unknown): Promise<void> {
    const { store, namespace } = this.#options;
    await store.publishEvent({ id: randomUUID(), namespace, name, payload, at: Date.now() });
  }

  #given({ step, policy }: ApprovalRecord): Verdict | undefined {
    const { answers, yes } = this.#options;
    const name = [step, bareName(step)].find((one) => answers.has(one));
    const answer = name === undefined ? undefined : answers.get(name);
    if (answer === false) return { approved: false };
    if (name === undefined && !yes) return undefined;
    const filledIn = answer === undefined || answer === true ? undefined : asWords(answer, policy.form?.schema);
    const verdict: Verdict = filledIn === undefined ? { approved: true } : { approved: true, answer: filledIn };
    if (!policy.form) return verdict;
    const problem = schemaProblem(policy.form.schema, verdict.answer ?? {}, 'the answer');
    if (problem !== undefined)
      throw new UsageError(`--answer ${bareName(step)}=JSON must fill in the form: ${problem}`);
    return { ...verdict, answer: verdict.answer ?? {} };
  }

  async #decide({ key }: ApprovalRecord, verdict: Verdict): Promise<void> {
    await this.#options.store.decideApproval(key, { ...verdict, by: userName(), at: Date.now() });
  }

  #ask(key: string, attempt: string, question: () => Promise<boolean>): void {
    if (!this.#options.terminal.interactive) {
      this.#left.set(key, attempt);
      return;
    }
    if (this.#asking) return;
    this.#asking = question().then((done) => {
      this.#asking = undefined;
      if (!done) this.#left.set(key, attempt);
    });
  }

  async #askDecision(approval: ApprovalRecord, { members }: Family): Promise<boolean> {
    const { terminal, interrupted } = this.#options;
    const { run, step, message, policy, expiresAt, call, question } = approval;
    const asker = members.find(({ uid }) => uid === run.uid)?.name;
    const now = Date.now();
    const until = expiresAt === undefined ? [] : [`  until ${time(expiresAt, now)}`];
    const lines = [
      `${asker === undefined ? step : `${step} of ${asker}`} asks for a decision:`,
      ...message
        .trimEnd()
        .split('\n')
        .map((line) => `  ${line}`),
      ...until,
    ];
    const asked = { lines, signal: this.#until(expiresAt), interrupted };
    const isQuestion = policy.form !== undefined && (call ?? question) !== undefined;
    const verdict = await (isQuestion ? askWords(terminal, asked) : askApproval(terminal, asked, policy.form?.schema));
    if (verdict) await this.#decide(approval, verdict);
    return verdict !== undefined;
  }

  async #askEvent(key: string, step: StepView, name: string): Promise<boolean> {
    const { terminal, interrupted, signal } = this.#options;
    const given = await askPayload(terminal, {
      lines: [`${step.id} waits for the event ${name}.`],
      signal,
      interrupted,
    });
    if (!given) return false;
    await this.publish(name, given.payload);
    this.#answered.set(key, Date.now());
    return true;
  }

  #until(expiresAt: number | undefined): AbortSignal {
    const { signal } = this.#options;
    if (expiresAt === undefined) return signal;
    return AbortSignal.any([signal, AbortSignal.timeout(Math.min(Math.max(expiresAt - Date.now(), 0), 2 ** 31 - 1))]);
  }
}

/** At work, and nothing inside them is. */
function live(view: RunView): StepView[] {
  const isLive = ({ phase }: StepView): boolean => phase === 'Running' || phase === 'Waiting';
  return [...view.all.values()].filter((step) => isLive(step) && !step.children.some(isLive));
}

function attemptOf(run: string, step: string, attempt: number): string {
  return `${run}/${step}/${attempt}`;
}

/** draft of draft/3, which is a part that its agent has handed to another one. */
const topOf = (step: string): string => step.split('/')[0] ?? step;

/** What looks like JSON on a command line may be the words that a form wants. */
function asWords(answer: unknown, schema: Record<string, unknown> | undefined): unknown {
  return schema?.['type'] === 'string' && typeof answer !== 'string' ? JSON.stringify(answer) : answer;
}

/** sign-off of draft#2.sign-off. */
function bareName(step: string): string {
  return (topOf(step).split('.').at(-1) ?? step).replace(/[[#].*$/, '');
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the list of users, as in some containers.
    return 'local';
  }
}
