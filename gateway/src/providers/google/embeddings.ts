// Vectors from Google's Gemini API.
import { noUsage } from '../../conversation/answer.ts';
import type { EmbeddingAnswer, EmbeddingRequest } from '../../conversation/embedding.ts';
import { invalidRequest } from '../../errors.ts';
import { ProviderError } from '../provider.ts';

interface List {
  embeddings?: { values?: number[] }[] | null;
  usageMetadata?: { promptTokenCount?: number; totalTokenCount?: number } | null;
}

/** Undefined fields are not sent. */
export function embeddingBody({ inputs, dimensions, native }: EmbeddingRequest, model: string): object {
  const own = native?.dialect === 'generate-content' ? { ...native.hints, ...native.fields } : {};
  const [field] = native && native.dialect !== 'generate-content' ? Object.keys(native.fields) : [];
  if (field !== undefined) {
    throw invalidRequest(`\`${field}\` is not something that the gateway offers for Google models.`, field);
  }
  return {
    requests: inputs.map((input) => {
      if (typeof input !== 'string') throw invalidRequest('Google models take texts, not tokens.', 'input');
      return { ...own, model, content: { parts: [{ text: input }] }, outputDimensionality: dimensions };
    }),
  };
}

export function embeddingAnswer(value: unknown, { inputs }: EmbeddingRequest): EmbeddingAnswer {
  const { embeddings, usageMetadata } = (value ?? {}) as List;
  const inputTokens = usageMetadata?.promptTokenCount ?? usageMetadata?.totalTokenCount;
  const usage = inputTokens === undefined ? undefined : { ...noUsage, inputTokens };
  const vectors = (embeddings ?? []).flatMap(({ values }) =>
    Array.isArray(values) ? [Float32Array.from(values)] : [],
  );
  if (vectors.length !== inputs.length) {
    throw new ProviderError('malformed', 'answered with another number of vectors', { usage });
  }
  return { vectors, ...(usage ? { usage } : {}) };
}
