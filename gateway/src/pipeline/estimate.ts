// How many tokens a call may use, and how many it did use where the provider does not say so credibly.
import type { ProviderModel } from '@kadre/crds';
import type { Usage } from '../conversation/answer.ts';
import type { EmbeddingRequest } from '../conversation/embedding.ts';
import type { ModelRequest, Part, ReasoningSettings } from '../conversation/request.ts';
import { estimateTokens } from '../conversation/tokens.ts';
import type { Price } from '../price/price.ts';
import type { Estimate } from './hooks.ts';

/** Of an image of unknown size: what the dearest of the providers takes for a large one, and for a usual one. */
const MAX_IMAGE_TOKENS = 6_000;
const IMAGE_TOKENS = 1_000;
/** What a protocol adds to each message: its role and separators. */
const MESSAGE_TOKENS = 8;
/** What Anthropic adds for the use of tools at all. */
const TOOLS_TOKENS = 600;

interface Size {
  characters: number;
  /** No byte-level tokenizer makes more tokens of a text than it has bytes. */
  bytes: number;
  images: number;
}

export function estimateOf(request: ModelRequest | EmbeddingRequest, price: Price | undefined): Estimate {
  const { characters, bytes, images } = 'inputs' in request ? embeddingSize(request) : chatSize(request);
  const limit = 'inputs' in request ? 0 : request.sampling.maxTokens;
  return {
    inputTokens: estimateTokens(characters) + images * IMAGE_TOKENS,
    maxInputTokens: bytes + images * MAX_IMAGE_TOKENS,
    ...(limit === undefined ? {} : { maxOutputTokens: limit }),
    price,
  };
}

function chatSize(request: ModelRequest): Size {
  const size: Size = { characters: 0, bytes: request.messages.length * MESSAGE_TOKENS, images: 0 };
  for (const { parts } of request.messages) for (const part of parts) addPart(size, part);
  if (request.tools) {
    addText(size, JSON.stringify(request.tools));
    size.bytes += TOOLS_TOKENS;
  }
  if (request.output?.type === 'schema') addText(size, JSON.stringify(request.output.schema));
  return size;
}

function addPart(size: Size, part: Part): void {
  switch (part.type) {
    case 'image':
      size.images += 1;
      return;
    case 'toolCall':
      addText(size, part.name);
      addText(size, part.arguments);
      return;
    case 'toolResult':
      for (const inner of part.parts) addPart(size, inner);
      return;
    case 'native':
      addText(size, JSON.stringify(part.value));
      return;
    default:
      addText(size, part.text ?? '');
      // A signature stands for thoughts that the provider reads again.
      if (part.type === 'reasoning' && part.opaque) size.bytes += part.opaque.data.length;
  }
}

function addText(size: Size, text: string): void {
  size.characters += text.length;
  size.bytes += Buffer.byteLength(text);
}

function embeddingSize({ inputs }: EmbeddingRequest): Size {
  const size: Size = { characters: 0, bytes: inputs.length * MESSAGE_TOKENS, images: 0 };
  for (const input of inputs) {
    if (typeof input === 'string') {
      addText(size, input);
    } else {
      size.characters += input.length * 4;
      size.bytes += input.length;
    }
  }
  return size;
}

/** `undefined` for counts that cannot be true: servers of one's own report all sorts of things, zeros above all. */
export function soundUsage(usage: Usage): Usage | undefined {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, longCacheWriteTokens = 0, outputTokens } = usage;
  const sound = Object.values(usage as unknown as Record<string, unknown>).every(
    (count) => Number.isSafeInteger(count) && (count as number) >= 0,
  );
  if (!sound || cachedInputTokens + cacheWriteTokens > inputTokens || longCacheWriteTokens > cacheWriteTokens) {
    return undefined;
  }
  return inputTokens + outputTokens === 0 ? undefined : usage;
}

/** By the length of the texts, where the provider said nothing or, in an answer that broke off, too little. */
export function estimatedUsage(inputTokens: number, said: number, reported: Usage | undefined): Usage {
  return {
    inputTokens: reported?.inputTokens ?? inputTokens,
    cachedInputTokens: reported?.cachedInputTokens ?? 0,
    cacheWriteTokens: reported?.cacheWriteTokens ?? 0,
    ...(reported?.longCacheWriteTokens === undefined ? {} : { longCacheWriteTokens: reported.longCacheWriteTokens }),
    outputTokens: Math.max(reported?.outputTokens ?? 0, estimateTokens(said)),
    reasoningTokens: reported?.reasoningTokens ?? 0,
  };
}

/** The settings of the Model, under those of the caller. */
export function withParameters(request: ModelRequest, { spec: { parameters } }: ProviderModel): ModelRequest {
  if (!parameters) return request;
  const { temperature, topP, maxTokens, seed, reasoning } = parameters;
  const defaults = {
    ...(temperature === undefined ? {} : { temperature: Number(temperature) }),
    ...(topP === undefined ? {} : { topP: Number(topP) }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(seed === undefined ? {} : { seed }),
  };
  return {
    ...request,
    sampling: { ...defaults, ...request.sampling },
    ...(reasoning || request.reasoning ? { reasoning: { ...defined(reasoning), ...request.reasoning } } : {}),
  };
}

function defined(reasoning: NonNullable<ProviderModel['spec']['parameters']>['reasoning']): ReasoningSettings {
  const { effort, budgetTokens } = reasoning ?? {};
  return { ...(effort === undefined ? {} : { effort }), ...(budgetTokens === undefined ? {} : { budgetTokens }) };
}
