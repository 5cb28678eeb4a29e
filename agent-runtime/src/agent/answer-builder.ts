// A streamed answer, put together again.
import { AgentFailure } from '../failure.ts';
import type { ChatChunk, ChatCompletion, ModelToolCall } from './chat.ts';

const MAX_CHARACTERS = 8 * 1024 * 1024;

type CallPiece = NonNullable<NonNullable<NonNullable<ChatChunk['choices'][number]>['delta']>['tool_calls']>[number];

export class AnswerBuilder {
  readonly #text: string[] = [];
  readonly #calls: ModelToolCall[] = [];
  #size = 0;
  #refusal = '';
  #id = '';
  #created: number | undefined;
  #finish: string | null = null;
  #usage: ChatChunk['usage'];

  /** Throws {@link AgentFailure} when the answer grows beyond all bounds. */
  add({ id, created, choices, usage }: ChatChunk): void {
    this.#id ||= id ?? '';
    this.#created ??= created;
    this.#usage = usage ?? this.#usage;
    const [choice] = choices;
    if (choice === undefined) return;
    this.#finish = choice.finish_reason ?? this.#finish;
    const { content, refusal, tool_calls: pieces } = choice.delta ?? {};
    if (content) this.#text.push(content);
    this.#refusal += refusal ?? '';
    this.#grow(content);
    for (const piece of pieces ?? []) this.#addCall(piece);
  }

  get completion(): ChatCompletion {
    const message = {
      role: 'assistant',
      content: this.#text.length === 0 ? null : this.#text.join(''),
      refusal: this.#refusal || null,
      ...(this.#calls.length > 0 ? { tool_calls: this.#calls } : {}),
    };
    return {
      id: this.#id,
      created: this.#created,
      choices: [{ index: 0, message, finish_reason: this.#finish }],
      usage: this.#usage,
    };
  }

  #addCall({ index, ...piece }: CallPiece): void {
    const { name, arguments: more } = piece.function ?? {};
    this.#grow(more);
    const begun = this.#calls[index];
    if (begun) {
      begun.function.arguments = (begun.function.arguments ?? '') + (more ?? '');
      return;
    }
    if (index !== this.#calls.length || !piece.id || !name)
      throw new AgentFailure('ModelFailed', 'The gateway sent pieces of a tool call that do not fit together.');
    this.#calls.push({ ...piece, id: piece.id, function: { ...piece.function, name, arguments: more ?? '' } });
  }

  #grow(text: string | null | undefined): void {
    this.#size += text?.length ?? 0;
    if (this.#size > MAX_CHARACTERS)
      throw new AgentFailure('ModelFailed', `The answer is longer than ${MAX_CHARACTERS} characters.`);
  }
}
