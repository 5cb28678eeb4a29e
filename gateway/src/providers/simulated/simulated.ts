// A model that is part of the product: it answers from a script, so that a Workflow can be tried and tested without a
// key and without a bill.
import { milliseconds, type ProviderModel } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import { AnswerBuilder, noUsage, type FinishReason, type ModelEvent, type Usage } from '../../conversation/answer.ts';
import type { ModelRequest } from '../../conversation/request.ts';
import { textOf } from '../../conversation/text.ts';
import { estimateTokens } from '../../conversation/tokens.ts';
import { misconfigured } from '../../errors.ts';
import type { Clock, Limits } from '../../options.ts';
import { pause } from '../../pause.ts';
import { refuseForeign } from '../foreign.ts';
import { madeUpId } from '../openai/chat-answer.ts';
import { ProviderError, type EmbedCall, type ModelCall, type Provider } from '../provider.ts';
import { vectorFor } from './embeddings.ts';
import { entryFor, situationOf, type Entry } from './script.ts';

/** How often each entry of a script failed, for one generation of a Model. */
interface Failures {
  generation: number;
  counts: number[];
}

const MODELS = 10_000;
const DIMENSIONS = 256;
const CHARACTERS_PER_TOKEN = 4;
/** Timers are no finer than this, so faster models say several tokens at a time. */
const TICK_MS = 10;

export function createSimulated(clock: Clock, limits: Pick<Limits, 'answerBytes'>): Provider {
  const failures = new BoundedMap<string, Failures>(MODELS);

  const failuresOf = ({ metadata }: ProviderModel): number[] => {
    const known = failures.get(metadata.uid);
    if (known?.generation === metadata.generation) return known.counts;
    const counts: number[] = [];
    failures.set(metadata.uid, { generation: metadata.generation, counts });
    return counts;
  };

  /** What is to be said, or the scripted error. */
  const spokenFor = ({ model, request }: ModelCall): Spoken => {
    const situation = situationOf(request);
    const entry = entryFor(model, situation, failuresOf(model));
    if (entry?.malformed) throw new ProviderError('malformed', 'sent an answer that is not JSON');
    const reply = entry ? (entry.reply ?? '') : '$(prompt)';
    const { prompt, toolResult = '' } = situation;
    const room = limits.answerBytes - reply.length;
    if (count(reply, '$(prompt)') * prompt.length + count(reply, '$(toolResult)') * toolResult.length > room) {
      const message = `Model ${model.metadata.name}: the scripted reply is too large for this prompt.`;
      throw misconfigured('ModelFailed', message);
    }
    const filled = reply.replaceAll(/\$\((prompt|toolResult)\)/g, (_all, name) =>
      name === 'prompt' ? prompt : toolResult,
    );
    return { entry, ...cut(filled, request) };
  };

  return {
    formatMode: () => 'native',
    check: (request) => refuseForeign(request, request.native?.dialect, 'simulated models'),
    generate: async (call) => {
      const builder = new AnswerBuilder();
      for await (const event of say(spokenFor(call), call, clock, undefined)) builder.add(event);
      const { answer } = builder;
      if (!answer) throw new ProviderError('interrupted', 'ended its answer before it was complete');
      return answer;
    },
    stream: (call) => say(spokenFor(call), call, clock, call.model.spec.simulated?.tokensPerSecond),
    embed: (call) => Promise.resolve(embeddingsFor(call)),
  };
}

const count = (text: string, placeholder: string): number => text.split(placeholder).length - 1;

interface Spoken {
  entry: Entry | undefined;
  text: string;
  finish: FinishReason;
}

/** Obeys `stop` and the limit on tokens as a real model does. */
function cut(reply: string, { sampling }: ModelRequest): Pick<Spoken, 'text' | 'finish'> {
  const stops = (sampling.stop ?? []).map((stop) => (stop === '' ? -1 : reply.indexOf(stop)));
  const end = Math.min(reply.length, ...stops.filter((position) => position >= 0));
  const limit = (sampling.maxTokens ?? Infinity) * CHARACTERS_PER_TOKEN;
  return end <= limit
    ? { text: reply.slice(0, end), finish: 'stop' }
    : { text: reply.slice(0, wholeCharacters(reply, limit)), finish: 'length' };
}

async function* say(
  { entry, text, finish }: Spoken,
  { request, signal }: ModelCall,
  clock: Clock,
  pace: number | undefined,
): AsyncGenerator<ModelEvent, void> {
  const { delay, reasoning, cutAfter, toolCalls = [] } = entry ?? {};
  if (delay !== undefined) await pause(milliseconds(delay), signal, clock);
  yield { type: 'start' };
  if (reasoning !== undefined) yield { type: 'reasoning', text: reasoning };
  yield* speak(cutAfter === undefined ? text : text.slice(0, wholeCharacters(text, cutAfter)), signal, clock, pace);
  if (cutAfter !== undefined) throw new ProviderError('interrupted', 'broke the connection off');
  // An answer that was cut short does not come to its calls.
  const calls = finish === 'stop' ? toolCalls : [];
  for (const [index, { name, arguments: args = '{}' }] of calls.entries()) {
    yield { type: 'toolCall', index, id: madeUpId(), name };
    for (const piece of args.match(/[^]{1,16}/gu) ?? []) yield { type: 'toolArguments', index, arguments: piece };
  }
  yield { type: 'usage', usage: usageOf(request, entry, text) };
  yield { type: 'finish', reason: calls.length > 0 ? 'toolCalls' : finish };
}

async function* speak(
  text: string,
  signal: AbortSignal,
  clock: Clock,
  pace: number | undefined,
): AsyncGenerator<ModelEvent, void> {
  const tokensPerPiece = pace === undefined ? Infinity : Math.max(1, Math.round((pace * TICK_MS) / 1000));
  for (let start = 0; start < text.length;) {
    const end = wholeCharacters(text, start + tokensPerPiece * CHARACTERS_PER_TOKEN);
    yield { type: 'text', text: text.slice(start, end) };
    start = end;
    if (pace !== undefined) await pause((tokensPerPiece / pace) * 1000, signal, clock);
  }
}

/** The position, or the one after it where it would split a surrogate pair. */
function wholeCharacters(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff ? position + 1 : Math.min(position, text.length);
}

/** As the script says; what it leaves out by the length of the texts. */
function usageOf({ messages }: ModelRequest, entry: Entry | undefined, text: string): Usage {
  const asked = messages.reduce((sum, { parts }) => sum + textOf(parts).length, 0);
  const said = text.length + (entry?.reasoning?.length ?? 0);
  return Object.assign(
    { ...noUsage, inputTokens: estimateTokens(asked), outputTokens: estimateTokens(said) },
    entry?.usage,
  );
}

function embeddingsFor({ model, request }: EmbedCall): { vectors: Float32Array[]; usage: Usage } {
  const dimensions = request.dimensions ?? model.spec.simulated?.embeddingDimensions ?? DIMENSIONS;
  const texts = request.inputs.map((input) => (typeof input === 'string' ? input : input.join(' ')));
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  return {
    vectors: texts.map((text) => vectorFor(text, dimensions)),
    usage: { ...noUsage, inputTokens: Math.max(1, estimateTokens(characters)) },
  };
}
