// Hands a task to an agent and stays with it to its end: through cut streams, lost replicas and restarts of whoever asked.
import type { Delegation, Failure } from '@kadre/crds';
import { pause, type Clock } from './clock.ts';
import { CallError, type A2AConnection } from './connection.ts';
import { replicaUrl } from './instance.ts';
import { TaskView, type Question, type TaskOutcome } from './task-view.ts';
import { errorCodes, wire, type StreamResponse } from './wire.ts';

export type MessagePart = { text: string } | { data: unknown; mediaType: 'application/json' };

/** What is asked: a prompt, data, or both. */
export function messageParts({ prompt, input }: { prompt?: string; input?: unknown }): MessagePart[] {
  return [
    ...(prompt === undefined ? [] : [{ text: prompt }]),
    ...(input === undefined ? [] : [{ data: input, mediaType: 'application/json' as const }]),
  ];
}

export interface Order {
  /** The same at each try, so that an agent takes the task once. */
  messageId: string;
  /** Its name, for people. */
  agent: string;
  /** What is asked. */
  parts: readonly MessagePart[];
  /** Of the message; made anew for each try. */
  metadata: () => Record<string, unknown>;
  /** Further headers of the message. */
  headers?: Record<string, string>;
  /** Where the agent is served now. */
  place: () => { found: boolean; url?: string };
}

/** What people say to a question of the agent. */
export type Reply = { words: string } | { failure: Failure };

/** Which task it is at the agent, and which replica holds it. */
export interface Accepted {
  taskId: string;
  instance?: string;
}

export interface FollowOptions {
  connection: A2AConnection;
  clock: Clock;
  /** Milliseconds that the agent may be out of reach. */
  agentPatience: number;
  /** Milliseconds that stopping the task is tried. */
  stopGrace: number;
  /** Told when the agent has taken the task, and when another replica has. */
  onAccepted: (accepted: Accepted) => void;
  /** Told when the agent hands a part of the task to another one, and when that ends. */
  onDelegation?: (delegation: Delegation) => void;
  /** Whether to call the replica that an agent says it is. True if absent: wrong for agents of strangers, who could lead anywhere. */
  replicas?: boolean;
  /** Whether the agent can stream; else it is asked again and again. True if absent. */
  streams?: boolean;
  /** Asks people what the agent wants to know. Absent: nobody can be asked, and the task fails. */
  askPeople?: (question: Question) => Promise<Reply>;
  /** Lets go of the task; it goes on at the agent. */
  detach: AbortSignal;
  /** Stops the task at the agent. */
  stop: AbortSignal;
}

/** Milliseconds between tries: doubled from the first to the last. */
const FIRST_PAUSE = 100;
const LAST_PAUSE = 2000;
/** Made once: an abort without a reason makes an error with a stack each time. */
export const LET_GO = new Error('nobody waits for the task any more');

/** Resolves with how the task ended: 'stopped' if it was stopped, or if its agent gave it up. */
export async function followTask(
  order: Order,
  accepted: Accepted | undefined,
  options: FollowOptions,
): Promise<TaskOutcome> {
  const done = new AbortController();
  const follower = new Follower(order, accepted, options, AbortSignal.any([options.detach, done.signal]));
  try {
    return await Promise.race([follower.follow(), follower.stopWhenAsked()]);
  } finally {
    done.abort(LET_GO);
  }
}

class Follower {
  readonly #order: Order;
  readonly #options: FollowOptions;
  readonly #signal: AbortSignal;
  #view = new TaskView();
  #accepted: Accepted | undefined;
  #onAccepted: (() => void) | undefined;
  /** Ids of questions that have been answered. */
  readonly #answered = new Set<string>();
  /** Since when the agent has been out of reach, without a word from it. */
  #failingSince: number | undefined;

  constructor(order: Order, accepted: Accepted | undefined, options: FollowOptions, signal: AbortSignal) {
    this.#order = order;
    this.#accepted = accepted;
    this.#options = options;
    this.#signal = signal;
  }

  async follow(): Promise<TaskOutcome> {
    const { clock } = this.#options;
    for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LAST_PAUSE)) {
      const started = clock.now();
      const outcome = await this.#attempt();
      if (outcome) return outcome;
      // A stream that held for a while is worth opening anew at once; one that ends as soon as it starts is not.
      if (clock.now() - started > LAST_PAUSE) wait = FIRST_PAUSE;
      await pause(clock, wait, this.#signal);
      // Whoever let go is not interested in an outcome.
      if (this.#signal.aborted) return 'stopped';
    }
  }

  async stopWhenAsked(): Promise<TaskOutcome> {
    const { stop, clock, stopGrace } = this.#options;
    await aborted(stop);
    const deadline = new AbortController();
    const callOff = clock.at(clock.now() + stopGrace, () => deadline.abort());
    const signal = AbortSignal.any([this.#signal, deadline.signal]);
    if (!this.#accepted)
      await Promise.race([new Promise<void>((resolve) => (this.#onAccepted = resolve)), aborted(signal)]);
    while (!signal.aborted && !(await this.#cancel(signal))) await pause(clock, FIRST_PAUSE, signal);
    callOff();
    return 'stopped';
  }

  /** One try to bring the task to its end; undefined if another one is due. */
  async #attempt(): Promise<TaskOutcome | undefined> {
    try {
      await (this.#accepted ? this.#resume(this.#accepted) : this.#send());
      return await this.#ended();
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      return this.#onCallError(error);
    }
  }

  async #send(): Promise<void> {
    const { found, url } = this.#order.place();
    if (!found) throw new CallError(`there is no agent ${this.#order.agent}`, { failure: 'AgentNotFound' });
    if (url === undefined) throw new CallError(`the agent ${this.#order.agent} is not served`);
    this.#view = new TaskView();
    const { messageId, parts, metadata, headers } = this.#order;
    const message = { messageId, role: 'ROLE_USER', parts, metadata: metadata() };
    const params = { message, configuration: { historyLength: 0 } };
    const take = (event: StreamResponse): 'enough' | undefined => this.#take(event, url);
    if (this.#options.streams === false) await this.#sendOnce(url, params);
    else await this.#options.connection.stream(url, 'SendStreamingMessage', params, this.#signal, take, headers);
    if (!this.#accepted && !this.#view.outcome)
      throw new CallError(`${url} ended its stream without a word about a task`);
  }

  async #sendOnce(url: string, { message, configuration }: { message: object; configuration: object }): Promise<void> {
    const params = { message, configuration: { ...configuration, returnImmediately: true } };
    const answer = await this.#options.connection.call(url, 'SendMessage', params, this.#signal);
    const response = wire.streamResponse.safeParse(answer);
    if (!response.success) throw new CallError(`${url} sent an answer that isn't A2A 1.0`, { failure: 'AgentFailed' });
    this.#take(response.data, url);
  }

  async #resume(accepted: Accepted): Promise<void> {
    const { connection } = this.#options;
    const service = this.#order.place().url;
    const base = accepted.instance ?? service;
    if (base === undefined) throw new CallError(`the agent ${this.#order.agent} is not served`);
    const id = accepted.taskId;
    let heard = false as boolean;
    const take = (event: StreamResponse): 'enough' | undefined => {
      heard = true;
      return this.#take(event, service ?? base);
    };
    if (this.#options.streams === false) return this.#fetch(base, id);
    try {
      await connection.stream(base, 'SubscribeToTask', { id }, this.#signal, take);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      // A task that is over cannot be subscribed to.
      if (error.code === errorCodes.unsupportedOperation) await this.#fetch(base, id);
      else if (!heard && isGone(error, accepted)) this.#accepted = undefined;
      else throw error;
    }
  }

  async #fetch(base: string, id: string): Promise<void> {
    const task = wire.task.safeParse(
      await this.#options.connection.call(base, 'GetTask', { id, historyLength: 0 }, this.#signal),
    );
    if (!task.success) throw new CallError(`${base} sent a task that isn't A2A 1.0`, { failure: 'AgentFailed' });
    this.#hear();
    this.#view.replace(task.data);
  }

  #take(event: StreamResponse, service: string): 'enough' | undefined {
    this.#hear();
    this.#view.apply(event);
    this.#note(service);
    for (const handed of this.#view.takeDelegations()) this.#options.onDelegation?.(handed);
    return this.#view.outcome !== undefined || this.#view.waitsFor !== undefined ? 'enough' : undefined;
  }

  #note(service: string): void {
    const { taskId, instance: said } = this.#view;
    if (taskId === undefined) return;
    const before = this.#accepted?.taskId === taskId ? this.#accepted : undefined;
    const known = said === undefined || this.#options.replicas === false;
    const instance = known ? before?.instance : replicaUrl(said, service);
    if (before && before.instance === instance) return;
    this.#accepted = { taskId, ...(instance !== undefined && { instance }) };
    this.#options.onAccepted(this.#accepted);
    this.#onAccepted?.();
  }

  async #ended(): Promise<TaskOutcome | undefined> {
    const { outcome, waitsFor } = this.#view;
    if (outcome || waitsFor === undefined) return outcome;
    const { question } = this.#view;
    const { askPeople } = this.#options;
    if (question && askPeople && !this.#answered.has(question.id)) {
      const reply = await Promise.race([askPeople(question), aborted(this.#signal)]);
      return reply ? this.#passOn(question, reply) : undefined;
    }
    await this.#cancel(this.#signal);
    return { failure: { reason: 'AgentFailed', message: `the agent asks for ${waitsFor}, which a step cannot give` } };
  }

  async #passOn(question: Question, reply: Reply): Promise<TaskOutcome | undefined> {
    const { taskId, contextId } = this.#view;
    const service = this.#order.place().url;
    const base = this.#accepted?.instance ?? service;
    if ('failure' in reply) {
      await this.#cancel(this.#signal);
      return reply;
    }
    if (base === undefined) throw new CallError(`the agent ${this.#order.agent} is not served`);
    const { messageId, metadata, headers } = this.#order;
    const message = {
      // The same if it is said once more because nobody knows whether it was heard.
      messageId: `${messageId}/${question.id}`,
      ...{ taskId, contextId },
      role: 'ROLE_USER',
      parts: [{ text: reply.words }],
      metadata: metadata(),
    };
    const params = { message, configuration: { historyLength: 0 } };
    const take = (event: StreamResponse): 'enough' | undefined => {
      this.#answered.add(question.id);
      return this.#take(event, service ?? base);
    };
    this.#view.goOn();
    await this.#options.connection.stream(base, 'SendStreamingMessage', params, this.#signal, take, headers);
    return this.#ended();
  }

  #onCallError({ failure, message }: CallError): { failure: Failure } | undefined {
    if (failure) return { failure };
    const { clock, agentPatience } = this.#options;
    this.#failingSince ??= clock.now();
    if (clock.now() - this.#failingSince < agentPatience) return undefined;
    return { failure: { reason: 'AgentUnavailable', message } };
  }

  #hear(): void {
    this.#failingSince = undefined;
  }

  /** Whether there is nothing left to stop. */
  async #cancel(signal: AbortSignal): Promise<boolean> {
    if (!this.#accepted) return true;
    const base = this.#accepted.instance ?? this.#order.place().url;
    if (base === undefined) return false;
    try {
      await this.#options.connection.call(base, 'CancelTask', { id: this.#accepted.taskId }, signal);
      return true;
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      return (
        error.code !== undefined &&
        [errorCodes.taskNotFound, errorCodes.taskNotCancelable].includes(error.code as never)
      );
    }
  }
}

/** A replica that is gone, or has forgotten the task: the next try hands the same message to the service. */
function isGone({ code, failure }: CallError, { instance }: Accepted): boolean {
  return code === errorCodes.taskNotFound || (instance !== undefined && failure === undefined);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
