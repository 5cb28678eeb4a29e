// Texts to vectors by the way that all calls of models go: with limits, Budgets and prices, and written down.
import { isProviderModel, vectorSpace } from '@kadre/crds';
import { randomUUID } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { GatewayError } from '../errors.ts';
import type { ModelSource } from '../options.ts';
import type { EmbeddingCall } from '../pipeline/call.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Requests } from '../requests.ts';

export interface EmbedRequest {
  /** For whom it is counted. */
  caller: Caller;
  model: string;
  texts: readonly string[];
  /** Its reason is a GatewayError. */
  signal: AbortSignal;
}

export interface Embedder {
  /** Which vectors the Model makes by now. Throws a GatewayError if there is no such Model, or it is a route. */
  spaceOf(namespace: string, model: string): string;
  /** One for each text, in their order. Throws a GatewayError. */
  embed(request: EmbedRequest): Promise<Float32Array[]>;
}

export function createEmbedder(services: { pipeline: Pipeline; requests: Requests; models: ModelSource }): Embedder {
  const { pipeline, requests, models } = services;
  return {
    spaceOf: (namespace, name) => {
      const model = models.get(namespace, name);
      if (!model) throw new GatewayError(404, 'ModelNotFound', `There is no Model ${name} in namespace ${namespace}.`);
      if (isProviderModel(model)) return vectorSpace(name, model.spec);
      throw new GatewayError(
        400,
        'ModelFailed',
        `Model ${name} is a route, and a Knowledge wants one Model that embeds.`,
      );
    },
    embed: async ({ caller, model, texts, signal }) => {
      const record = requests.open(`req_${randomUUID()}`, 'knowledge');
      const release = record.hold();
      record.caller = caller;
      const shared = { id: record.id, door: 'knowledge', caller, signal, headers: {}, record, responseHeaders: {} };
      const request = { model, inputs: [...texts] };
      const call: EmbeddingCall = { ...shared, operation: 'embeddings', request, streamed: false };
      try {
        const { vectors } = await pipeline.embed(call);
        mustBeVectors(vectors, texts.length);
        return vectors;
      } catch (error) {
        if (error instanceof GatewayError) record.fail(error);
        throw error;
      } finally {
        release();
      }
    },
  };
}

function mustBeVectors(vectors: readonly Float32Array[], count: number): void {
  const [length = 0] = vectors.map((vector) => vector.length);
  const sound = vectors.every((vector) => vector.length === length && vector.every(Number.isFinite));
  if (vectors.length === count && length > 0 && sound) return;
  throw new GatewayError(502, 'ModelFailed', 'The model gave something that is not one vector for each text.');
}
