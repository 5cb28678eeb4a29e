// What a client of Responses expects to read, in the order that Open Responses lays down.
import { eventsOf, type FinishReason, type ModelEvent, type Usage } from '../../conversation/answer.ts';
import type { GatewayError } from '../../errors.ts';
import type { AnswerEncoder, CompleteAnswer, Envelope } from '../door.ts';
import { serverSentEvent } from '../response-writer.ts';
import { Items, type Tell } from './items.ts';
import type { ResponsesOptions } from './request.ts';

/** The whole is what its stream would end with. */
export function response(answer: CompleteAnswer, envelope: Envelope, options: ResponsesOptions): object {
  const writer = new Writer(envelope, options, () => undefined);
  for (const event of eventsOf(answer)) writer.write(event);
  return writer.response;
}

export function responsesEncoder(envelope: Envelope, options: ResponsesOptions): AnswerEncoder {
  let number = 0;
  let text = '';
  const tell: Tell = (type, fields) => {
    text += serverSentEvent(JSON.stringify({ type, sequence_number: number, ...fields }), type);
    number += 1;
  };
  const writer = new Writer(envelope, options, tell);
  const told = (): string => {
    const all = text;
    text = '';
    return all;
  };
  return {
    event: (event) => {
      writer.write(event);
      return event.type === 'finish' ? `${told()}data: [DONE]\n\n` : told();
    },
    failure: (error) => {
      writer.fail(error);
      return told();
    },
  };
}

class Writer {
  response: object;
  readonly #envelope: Envelope;
  readonly #options: ResponsesOptions;
  readonly #tell: Tell;
  readonly #items: Items;
  #usage: Usage | undefined;

  constructor(envelope: Envelope, options: ResponsesOptions, tell: Tell) {
    this.#envelope = envelope;
    this.#options = options;
    this.#tell = tell;
    this.#items = new Items(plainId(envelope), tell);
    this.response = this.#shape('in_progress');
  }

  write(event: ModelEvent): void {
    switch (event.type) {
      case 'start':
        this.#tell('response.created', { response: this.response });
        this.#tell('response.in_progress', { response: this.response });
        return;
      case 'text':
        this.#items.text('output_text', event.text);
        return;
      case 'refusal':
        this.#items.text('refusal', event.text);
        return;
      case 'reasoning':
        this.#items.thought(event.text ?? '', event.opaque);
        return;
      case 'toolCall':
        this.#items.call(event);
        return;
      case 'toolArguments':
        this.#items.arguments(event.index, event.arguments);
        return;
      case 'usage':
        this.#usage = event.usage;
        return;
      case 'finish':
        this.#finish(event.reason);
    }
  }

  /** Whoever reads events is told by the last one; whoever reads the answer, by its status. */
  fail({ code, message, param }: GatewayError): void {
    this.#items.end('incomplete');
    this.response = this.#shape('failed', { error: { code, message } });
    this.#tell('response.failed', { response: this.response });
    this.#tell('error', { code, message, param, error: { type: 'api_error', code, message, param } });
  }

  #finish(reason: FinishReason): void {
    const cut = incomplete[reason];
    const status = cut === undefined ? 'completed' : 'incomplete';
    this.#items.end(status);
    this.response = this.#shape(status, cut === undefined ? {} : { incomplete_details: { reason: cut } });
    this.#tell(`response.${status}`, { response: this.response });
  }

  #shape(status: string, more: object = {}): object {
    const { createdAt, model } = this.#envelope;
    const options = this.#options;
    const seconds = Math.floor(createdAt / 1000);
    return {
      id: `resp_${plainId(this.#envelope)}`,
      object: 'response',
      created_at: seconds,
      completed_at: status === 'completed' ? seconds : null,
      status,
      error: null,
      incomplete_details: null,
      instructions: options.instructions,
      max_output_tokens: options.maxOutputTokens,
      max_tool_calls: null,
      model,
      // Items that are not over yet are gaps, and left out.
      output: Object.values(this.#items.output),
      parallel_tool_calls: options.parallelToolCalls,
      previous_response_id: null,
      reasoning: options.reasoning,
      store: false,
      background: false,
      service_tier: 'default',
      temperature: options.temperature,
      presence_penalty: 0,
      frequency_penalty: 0,
      text: options.text,
      tool_choice: options.toolChoice,
      tools: options.tools,
      top_logprobs: 0,
      top_p: options.topP,
      truncation: 'disabled',
      usage: this.#usage ? usageShape(this.#usage) : null,
      metadata: options.metadata,
      ...more,
    };
  }
}

const plainId = ({ requestId }: Envelope): string => requestId.replace(/^req_/, '').replaceAll('-', '');

const incomplete: Readonly<Partial<Record<FinishReason, string>>> = {
  length: 'max_output_tokens',
  contentFilter: 'content_filter',
};

const usageShape = (usage: Usage): object => ({
  input_tokens: usage.inputTokens,
  input_tokens_details: { cached_tokens: usage.cachedInputTokens, cache_write_tokens: usage.cacheWriteTokens },
  output_tokens: usage.outputTokens,
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  total_tokens: usage.inputTokens + usage.outputTokens,
});
