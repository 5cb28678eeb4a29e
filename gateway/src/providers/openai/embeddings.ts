// Vectors from OpenAI's protocol.
import type { Usage } from '../../conversation/answer.ts';
import { noUsage } from '../../conversation/answer.ts';
import type { EmbeddingAnswer, EmbeddingRequest } from '../../conversation/embedding.ts';
import { ProviderError } from '../provider.ts';
import { objectOf } from './chat-answer.ts';

interface List {
  model?: string;
  data?: { index?: number; embedding?: number[] | string }[] | null;
  usage?: { prompt_tokens?: number; total_tokens?: number } | null;
}

/** Undefined fields are not sent. */
export function embeddingBody(request: EmbeddingRequest, model: string, format: 'base64' | 'float'): object {
  const { inputs, dimensions, native } = request;
  return {
    ...native?.hints,
    ...native?.fields,
    model,
    input: inputs.length === 1 ? inputs[0] : inputs,
    dimensions,
    encoding_format: format,
  };
}

export function embeddingAnswer(value: unknown, { inputs }: EmbeddingRequest): EmbeddingAnswer {
  const { data, usage, model } = objectOf(value) as List;
  const counted = usageOf(usage);
  const vectors = new Array<Float32Array | undefined>(inputs.length).fill(undefined);
  for (const [place, { index = place, embedding }] of (data ?? []).entries()) {
    if (index >= 0 && index < inputs.length) vectors[index] = vectorOf(embedding);
  }
  const whole = vectors.filter((vector) => vector !== undefined);
  if (whole.length < inputs.length) {
    throw new ProviderError('malformed', 'answered with too few vectors', { usage: counted });
  }
  return {
    vectors: whole,
    ...(counted ? { usage: counted } : {}),
    ...(typeof model === 'string' ? { model } : {}),
  };
}

/** Numbers, or base64 of 32-bit floats, the lowest byte first. */
function vectorOf(embedding: unknown): Float32Array | undefined {
  if (Array.isArray(embedding)) return Float32Array.from(embedding as number[]);
  if (typeof embedding !== 'string') return undefined;
  const bytes = Buffer.from(embedding, 'base64');
  const vector = new Float32Array(Math.floor(bytes.length / 4));
  for (let index = 0; index < vector.length; index += 1) vector[index] = bytes.readFloatLE(index * 4);
  return vector;
}

function usageOf(usage: List['usage']): Usage | undefined {
  const inputTokens = usage?.prompt_tokens ?? usage?.total_tokens;
  return inputTokens === undefined ? undefined : { ...noUsage, inputTokens };
}
