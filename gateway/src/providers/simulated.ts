// A model that is part of the product: it answers from a script, so that a Workflow can be tried and tested without a
// key and without a bill.
import type { Model } from '@kadre/crds';
import { BoundedMap } from '../bounded-map.ts';
import { lastPrompt, maxTokens, stopSequences, textOf, type ChatRequest } from '../chat/request.ts';
import { misconfigured } from '../errors.ts';
import type { Clock, Limits } from '../options.ts';
import {
  ProviderError,
  type FinishReason,
  type ModelCall,
  type ModelEvent,
  type Provider,
  type Usage,
} from './provider.ts';
import { matchesScript } from './script-pattern.ts';
import { estimateTokens } from './tokens.ts';

type Entry = NonNullable<NonNullable<Model['spec']['simulated']>['script']>[number];

/** How often each entry of a script failed, for one generation of a Model. */
interface Failures {
  generation: number;
  counts: number[];
}

const MODELS = 10_000;
const CHARACTERS_PER_TOKEN = 4;
/** Timers are no finer than this, so faster models say several tokens at a time. */
const TICK_MS = 10;

export function createSimulated(clock: Clock, limits: Pick<Limits, 'answerBytes'>): Provider {
  const failures = new BoundedMap<string, Failures>(MODELS);

  const failuresOf = ({ metadata }: Model): number[] => {
    const known = failures.get(metadata.uid);
    if (known?.generation === metadata.generation) return known.counts;
    const counts: number[] = [];
    failures.set(metadata.uid, { generation: metadata.generation, counts });
    return counts;
  };

  /** The answer to a request, or the scripted error. */
  const answerTo = ({ model, request }: ModelCall): Spoken => {
    const prompt = lastPrompt(request);
    const entry = entryFor(model, prompt, failuresOf(model));
    const reply = entry?.reply ?? '$(prompt)';
    const placeholders = reply.split('$(prompt)').length - 1;
    if (reply.length + placeholders * prompt.length > limits.answerBytes) {
      throw misconfigured(
        'ModelFailed',
        `Model ${model.metadata.name}: the scripted reply is too large for this prompt.`,
      );
    }
    return cut(
      reply.replaceAll('$(prompt)', () => prompt),
      request,
    );
  };

  return {
    check: () => undefined,
    generate: (call) =>
      new Promise((resolve) => {
        const { text, finish } = answerTo(call);
        resolve({ text, refusal: null, toolCalls: [], finish, usage: usageOf(call.request, text) });
      }),
    stream: (call) => say(answerTo(call), call, clock),
  };
}

/** The first entry that matches and still has something to say; `undefined`: echo. Counts the failure it picks. */
function entryFor(model: Model, prompt: string, failed: number[]): Entry | undefined {
  for (const [index, entry] of (model.spec.simulated?.script ?? []).entries()) {
    const matches = entry.match === undefined || matchesScript(entry.match, prompt);
    if (typeof matches === 'string') {
      const message = `Model ${model.metadata.name}: script[${index}].match is not a valid expression: ${matches}.`;
      throw misconfigured('ModelFailed', message);
    }
    if (!matches) continue;
    if (!entry.error) return entry;
    const times = failed[index] ?? 0;
    if (entry.error.times !== undefined && times >= entry.error.times) continue;
    failed[index] = times + 1;
    throw new ProviderError('status', entry.error.message ?? 'a scripted error', { status: entry.error.status });
  }
  return undefined;
}

interface Spoken {
  text: string;
  finish: FinishReason;
}

/** Obeys `stop` and the limit on tokens as a real model does. */
function cut(reply: string, request: ChatRequest): Spoken {
  const stops = stopSequences(request).map((stop) => (stop === '' ? -1 : reply.indexOf(stop)));
  const end = Math.min(reply.length, ...stops.filter((position) => position >= 0));
  const limit = (maxTokens(request) ?? Infinity) * CHARACTERS_PER_TOKEN;
  return end <= limit
    ? { text: reply.slice(0, end), finish: 'stop' }
    : { text: reply.slice(0, wholeCharacters(reply, limit)), finish: 'length' };
}

async function* say({ text, finish }: Spoken, call: ModelCall, clock: Clock): AsyncGenerator<ModelEvent> {
  const pace = call.model.spec.simulated?.tokensPerSecond;
  const tokensPerPiece = pace === undefined ? Infinity : Math.max(1, Math.round((pace * TICK_MS) / 1000));
  for (let start = 0; start < text.length;) {
    const end = wholeCharacters(text, start + tokensPerPiece * CHARACTERS_PER_TOKEN);
    yield { type: 'text', text: text.slice(start, end) };
    start = end;
    if (pace !== undefined) await pause((tokensPerPiece / pace) * 1000, call.signal, clock);
  }
  yield { type: 'usage', usage: usageOf(call.request, text) };
  yield { type: 'finish', reason: finish };
}

/** The position, or the one after it where it would split a surrogate pair. */
function wholeCharacters(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff ? position + 1 : Math.min(position, text.length);
}

function pause(ms: number, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

function usageOf(request: ChatRequest, text: string): Usage {
  const said = request.messages.reduce((sum, message) => sum + textOf(message).length, 0);
  return {
    inputTokens: estimateTokens(said),
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: estimateTokens(text.length),
    reasoningTokens: 0,
  };
}
