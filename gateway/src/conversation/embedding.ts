// Texts to vectors.
import type { Usage } from './answer.ts';
import type { NativeFields } from './request.ts';

export interface EmbeddingRequest {
  /** Name of the Model, as the caller gave it. */
  model: string;
  /** Texts, or tokens of the model's own vocabulary (which only OpenAI's dialect has). At least one. */
  inputs: (string | number[])[];
  /** Length of the vectors, where the model offers several. */
  dimensions?: number;
  native?: NativeFields;
}

export interface EmbeddingAnswer {
  /** One for each input, in their order. */
  vectors: Float32Array[];
  /** From a provider: absent if it did not say. From the pipeline: always there. */
  usage?: Usage;
  model?: string;
}
