// The calls of one answer of the model: made side by side, told in their order.
import type { Delegation, ToolActivity, ToolResult } from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import type { ModelToolCall } from './chat.ts';
import { askAgent, delegationOf, notAlone, type Delegate } from './delegate.ts';
import type { Errand } from './gateway-client.ts';
import { problem, type OnTheWay, type ToolClient } from './tool-client.ts';

export interface Round {
  calls: readonly ModelToolCall[];
  /** Names of tools that the caller brought along, and calls itself. */
  callers: ReadonlySet<string>;
  /** Other agents by the names under which the model asks them. */
  delegates: ReadonlyMap<string, Delegate>;
  /** For whoever takes the task over. */
  conversation: () => string;
  /** The number of the first call. */
  number: number;
  /** Whether the task has met untrusted words before. */
  tainted: boolean;
}

export interface Told {
  /** One for each call, in their order. */
  results: ToolResult[];
  /** How many numbers have been used. */
  numbers: number;
}

const MAX_CALLS = 32;
const MAX_NAME = 128;
const MAX_SHOWN = 1024;
/** As the contract has it; the gateway tells no more of one call. */
const MAX_PRINTED = 65_536;
const TOO_MANY = `Not done: only the first ${MAX_CALLS} calls of an answer are. Make this one in your next answer.`;
const NOT_ALONE =
  'Not done: this tool belongs to whoever asks you, and an answer that calls it must call no others. Call it again by itself.';

/** `waiting`: names of the Approvals that people must decide now before all calls can be made; none any more: it goes on. */
export type RoundProgress = { activity: ToolActivity } | { waiting: string[] } | { delegation: Delegation };

/** Throws {@link AgentFailure}, after it has stopped the other calls. */
export async function* playRound(
  tools: ToolClient,
  errand: Errand,
  round: Round,
): AsyncGenerator<RoundProgress, Told, undefined> {
  const delegateOf = ({ function: { name } }: ModelToolCall): Delegate | undefined => round.delegates.get(name);
  const results = round.calls.map((call) => refusalOf(call, round.callers) ?? notAlone(round.calls, delegateOf(call)));
  const rejected = new AbortController();
  const signal = AbortSignal.any([errand.signal, rejected.signal]);
  const underWay = new Map<number, Promise<number>>();
  const waiting = new Waiting();
  const printed = new Printed();
  let numbers = 0;
  try {
    for (const [index, call] of round.calls.entries()) {
      if (results[index] !== undefined) continue;
      if (numbers === MAX_CALLS) {
        results[index] = problem('ToolRefused', TOO_MANY);
        continue;
      }
      const number = round.number + numbers;
      numbers += 1;
      const asked = { ...errand, signal, number };
      const made = makeCall(tools, asked, call, round, {
        waiting: waiting.begin(index),
        output: printed.of(index),
      }).then((result) => {
        results[index] = result;
        return index;
      });
      underWay.set(index, made);
      // If the loop ends first, nobody else looks at it.
      made.catch(() => undefined);
      const shown = argumentsOf(call).slice(0, MAX_SHOWN);
      yield { activity: { ...activityOf(call, number), phase: 'Running', arguments: shown } };
      const delegate = delegateOf(call);
      if (delegate) yield { delegation: delegationOf(delegate, number) };
    }
    const first = round.number;
    const order = [...underWay.keys()];
    while (underWay.size > 0) {
      const index = await Promise.race([...underWay.values(), waiting.changed, printed.changed]);
      for (const { index: whose, output } of printed.take()) {
        const call = round.calls[whose];
        if (call) yield { activity: { ...activityOf(call, first + order.indexOf(whose)), phase: 'Running', output } };
      }
      if (index !== undefined) underWay.delete(index);
      if (waiting.take(index)) yield { waiting: waiting.approvals };
      if (index === undefined) continue;
      const [call, result] = [round.calls[index], results[index]];
      if (!call || !result) continue;
      const number = first + order.indexOf(index);
      yield { activity: { ...activityOf(call, number), ...endOf(result) } };
      const delegate = delegateOf(call);
      if (delegate) yield { delegation: delegationOf(delegate, number, result) };
    }
  } finally {
    rejected.abort(new AgentFailure('Cancelled', 'Another call of the same answer failed.'));
    await Promise.allSettled(underWay.values());
  }
  return { results: results.map((result) => result ?? problem('InternalError', 'Not done.')), numbers };
}

const argumentsOf = (call: ModelToolCall): string => call.function.arguments || '{}';

const activityOf = ({ function: { name } }: ModelToolCall, call: number) => ({ call, tool: name.slice(0, MAX_NAME) });

const endOf = ({ isError, reason }: ToolResult): Pick<ToolActivity, 'phase' | 'reason'> =>
  isError ? { phase: 'Failed', reason: reason ?? 'ToolFailed' } : { phase: 'Succeeded' };

/** What is wrong with a call before anybody is asked. */
function refusalOf({ function: { name } }: ModelToolCall, callers: ReadonlySet<string>): ToolResult | undefined {
  if (callers.has(name)) return problem('ToolRefused', NOT_ALONE);
  return name.length > MAX_NAME ? problem('ToolRefused', 'There is no tool of that name.') : undefined;
}

function makeCall(
  tools: ToolClient,
  errand: Parameters<ToolClient['call']>[0],
  call: ModelToolCall,
  { tainted, delegates, conversation }: Round,
  on: OnTheWay,
): Promise<ToolResult> {
  // In a step the gateway knows by itself.
  const outside = errand.stepToken === undefined ? { tainted } : {};
  const asked = { name: call.function.name, arguments: argumentsOf(call), ...outside };
  const delegate = delegates.get(asked.name);
  if (!delegate) return tools.call(errand, asked, on);
  return askAgent(tools, errand, { ...asked, ...(delegate.handOff && { conversation: conversation() }) });
}

/** Which calls wait for people, by their place among those of the answer. */
class Waiting {
  readonly #byCall = new Map<number, string>();
  #news = false;
  #change = Promise.withResolvers<undefined>();

  /** Resolves when a call begins to wait. */
  get changed(): Promise<undefined> {
    return this.#change.promise;
  }

  get approvals(): string[] {
    return [...this.#byCall.values()];
  }

  begin(call: number): (approval: string) => void {
    return (approval) => {
      if (this.#byCall.get(call) === approval) return;
      this.#byCall.set(call, approval);
      this.#news = true;
      this.#change.resolve(undefined);
    };
  }

  /** Whether there is news, be it by this call which is over. */
  take(ended: number | undefined): boolean {
    if (ended !== undefined) return this.#byCall.delete(ended);
    if (!this.#news) return false;
    this.#news = false;
    this.#change = Promise.withResolvers();
    return true;
  }
}

/** What tools have printed and nobody has been told yet. */
class Printed {
  readonly #byCall = new Map<number, string>();
  #change = Promise.withResolvers<undefined>();

  /** Resolves when there is something to tell. */
  get changed(): Promise<undefined> {
    return this.#change.promise;
  }

  of(call: number): (text: string) => void {
    return (text) => {
      this.#byCall.set(call, (this.#byCall.get(call) ?? '') + text);
      this.#change.resolve(undefined);
    };
  }

  take(): { index: number; output: string }[] {
    const all = [...this.#byCall].map(([index, output]) => ({ index, output: output.slice(-MAX_PRINTED) }));
    this.#byCall.clear();
    this.#change = Promise.withResolvers();
    return all;
  }
}
