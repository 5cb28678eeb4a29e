// The order in which a call passes through everything: journal, route, limits, budgets, the provider, and back.
import type { Answer, ModelEvent, Usage } from '../conversation/answer.ts';
import type { EmbeddingAnswer } from '../conversation/embedding.ts';
import type { ChatCall, EmbeddingCall } from './call.ts';

export interface Pipeline {
  /** All throw a GatewayError. What they return has been paid for and written down. */
  generate(call: ChatCall): Promise<Answer & { usage: Usage }>;
  /**
   * Resolves with the first content, so that a refusal still becomes an HTTP status. The events: one `start`, content,
   * one `usage`, and `finish` last; or it throws a GatewayError. Read to the end, or call `return`.
   */
  stream(call: ChatCall): Promise<AsyncGenerator<ModelEvent, void>>;
  embed(call: EmbeddingCall): Promise<EmbeddingAnswer & { usage: Usage }>;
}
