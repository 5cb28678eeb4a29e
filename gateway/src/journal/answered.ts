// An answer as the journal keeps it: JSON, in which vectors are base64 of little-endian 32-bit floats.
import type { Answer } from '../conversation/answer.ts';
import type { EmbeddingAnswer } from '../conversation/embedding.ts';
import type { Answered } from '../pipeline/hooks.ts';

export type KeptAnswer = { chat: Answer } | { embeddings: Omit<EmbeddingAnswer, 'vectors'> & { vectors: string[] } };

export function kept(answered: Answered): KeptAnswer {
  if ('chat' in answered) return answered;
  const { embeddings } = answered;
  return { embeddings: { ...embeddings, vectors: embeddings.vectors.map(packed) } };
}

export function given(answer: KeptAnswer): Answered {
  if ('chat' in answer) return answer;
  const { embeddings } = answer;
  return { embeddings: { ...embeddings, vectors: embeddings.vectors.map(unpacked) } };
}

const BYTES = Float32Array.BYTES_PER_ELEMENT;

function packed(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * BYTES);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * BYTES);
  return bytes.toString('base64');
}

function unpacked(text: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  return Float32Array.from({ length: bytes.length / BYTES }, (_, index) => bytes.readFloatLE(index * BYTES));
}
