// What people are asked on behalf of attempts at work: by the gateway for calls that they must approve, and by agents themselves.
import type { Question, Reply } from '@kadre/a2a';
import { objectName, type ApprovalRecord, type ApprovalRequest } from '@kadre/store';
import type { EngineEvent } from '../core/events.ts';
import type { Attempt, RunState } from '../core/state.ts';
import { attemptKey } from './jobs.ts';
import type { World } from './world.ts';

/** Whatever agents hand on to each other has its name after this. */
const PART = '/';
/** Of one attempt. */
const MOST_QUESTIONS = 100;
/** The words of people, as they write them. */
const WORDS = { schema: { type: 'string', minLength: 1, maxLength: 16_000 } };

export class People {
  readonly #world: World;
  readonly #state: RunState;
  /** Told what people say to an agent that has asked. */
  readonly #onReply: (attempt: Attempt, question: string, reply: Reply) => void;

  constructor(world: World, state: RunState, onReply: (attempt: Attempt, question: string, reply: Reply) => void) {
    this.#world = world;
    this.#state = state;
    this.#onReply = onReply;
  }

  /** What is to be recorded of these approvals, and on demand of all that attempts are known to wait for. */
  async news(keys: ReadonlySet<string>, { known }: { known: boolean }): Promise<EngineEvent[]> {
    const events: EngineEvent[] = [];
    for (const key of known ? new Set([...keys, ...this.#known()]) : keys) {
      const record = await this.#world.store.approval(key);
      const event = record && (record.call ?? record.question) !== undefined && (await this.#eventOf(record));
      if (event) events.push(event);
    }
    return events;
  }

  /** What to record and to ask for if an agent asks; undefined if it has asked before, which is answered as it was. */
  async ask(
    attempt: Attempt,
    { id, text }: Question,
  ): Promise<{ event: EngineEvent; request: ApprovalRequest } | undefined> {
    const { run, requestedBy } = this.#state;
    const name = { run, step: attempt.id, attempt: attempt.attempt };
    const known = attempt.questions.get(id);
    const number = known ?? attempt.questions.size + 1;
    const key = `${attemptKey(name)}/question-${number}`;
    if (known !== undefined) {
      const record = await this.#world.store.approval(key);
      if (record) this.#tell(attempt, record);
      return undefined;
    }
    if (number > MOST_QUESTIONS) {
      this.#onReply(attempt, id, rejected(`the agent has asked ${MOST_QUESTIONS} questions, which is the limit`));
      return undefined;
    }
    const request: ApprovalRequest = {
      key,
      run: { ...run },
      step: attempt.id,
      attempt: attempt.attempt,
      question: number,
      name: objectName(`${run.name}-${attempt.id}-question`, key),
      message: text,
      policy: { form: WORDS },
      ...(requestedBy !== undefined && { requestedBy }),
    };
    const data = { step: attempt.id, attempt: attempt.attempt, key, approval: request.name, question: { id, number } };
    return { event: { at: this.#world.clock.now(), type: 'StepAsked', data }, request };
  }

  #known(): string[] {
    return [...this.#state.active.values()].flatMap(({ asks }) => [...asks.keys()]);
  }

  async #eventOf(record: ApprovalRecord): Promise<EngineEvent | undefined> {
    const { key, step, attempt, name, state, expiresAt } = record;
    const active = this.#attemptAt(step, attempt);
    const isOpen = state === 'open';
    // The pod of an attempt that is over has asked before it was stopped.
    if (!active && isOpen) await this.#world.store.withdrawApproval(key);
    if (!active) return undefined;
    this.#tell(active, record);
    if (active.asks.has(key) === isOpen) return undefined;
    const at = this.#world.clock.now();
    const data = { step: active.id, attempt, key };
    if (!isOpen) return { at, type: 'StepAnswered', data };
    return { at, type: 'StepAsked', data: { ...data, approval: name, ...(expiresAt !== undefined && { expiresAt }) } };
  }

  #attemptAt(step: string, attempt: number): Attempt | undefined {
    const [id = ''] = step.split(PART);
    const active = this.#state.active.get(id);
    return active?.attempt === attempt ? active : undefined;
  }

  #tell(attempt: Attempt, { question, state, decision }: ApprovalRecord): void {
    if (question === undefined || state === 'open') return;
    const words = typeof decision?.answer === 'string' ? decision.answer : '';
    const reply = decision?.approved
      ? { words }
      : rejected(decision ? `${decision.by} declined to answer the agent` : 'nobody answered the agent');
    for (const [id, number] of attempt.questions) if (number === question) this.#onReply(attempt, id, reply);
  }
}

const rejected = (message: string): Reply => ({ failure: { reason: 'ApprovalRejected', message } });
