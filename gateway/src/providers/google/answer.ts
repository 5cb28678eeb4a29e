// What Google's Gemini API answers: the pieces of a stream have the same form as a whole answer.
import type { Answer, AnswerPart, FinishReason, ModelEvent, Usage } from '../../conversation/answer.ts';
import { madeUpId } from '../openai/chat-answer.ts';
import { fromAnswer } from '../failures.ts';
import { ProviderError } from '../provider.ts';
import { errorOf } from '../wire.ts';

interface Response {
  candidates?: { content?: { parts?: WirePart[] | null } | null; finishReason?: string | null }[] | null;
  promptFeedback?: { blockReason?: string | null } | null;
  usageMetadata?: Counts | null;
  modelVersion?: string;
  responseId?: string;
  error?: unknown;
}

interface WirePart {
  text?: string | null;
  thought?: boolean | null;
  thoughtSignature?: string | null;
  functionCall?: { id?: string | null; name?: string | null; args?: unknown } | null;
}

interface Counts {
  promptTokenCount?: number;
  toolUsePromptTokenCount?: number;
  cachedContentTokenCount?: number;
  candidatesTokenCount?: number;
  thoughtsTokenCount?: number;
}

export function contentAnswer(value: unknown): Answer {
  const response = (value ?? {}) as Response;
  const { usageMetadata, modelVersion: model, responseId: id } = response;
  const usage = usageMetadata ? usageOf(usageMetadata) : undefined;
  const parts = partsOf(response);
  const finish = finishOf(
    response,
    parts.some(({ type }) => type === 'toolCall'),
  );
  if (!finish && !response.candidates?.[0]?.content) {
    throw new ProviderError('malformed', 'answered without a candidate', { usage });
  }
  return {
    parts,
    finish: finish ?? 'stop',
    ...(usage ? { usage } : {}),
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof model === 'string' ? { model } : {}),
  };
}

/** Texts that follow each other are one. */
function partsOf(response: Response): AnswerPart[] {
  const parts: AnswerPart[] = [];
  for (const part of wirePartsOf(response).flatMap(partOf)) {
    const last = parts.at(-1);
    if (last && last.type !== 'toolCall' && last.type === part.type && !('opaque' in last)) {
      parts[parts.length - 1] = { ...last, ...part, text: (last.text ?? '') + (part.text ?? '') };
    } else {
      parts.push(part);
    }
  }
  return parts;
}

const wirePartsOf = ({ candidates }: Response): WirePart[] => candidates?.[0]?.content?.parts ?? [];

function partOf({ text, thought, thoughtSignature, functionCall }: WirePart): AnswerPart[] {
  const opaque = thoughtSignature ? { opaque: { family: 'google' as const, data: thoughtSignature } } : {};
  if (functionCall) {
    const { id, name, args } = functionCall;
    if (!name) throw new ProviderError('malformed', 'called a tool without a name');
    return [{ type: 'toolCall', id: id ?? madeUpId(), name, arguments: JSON.stringify(args ?? {}), ...opaque }];
  }
  if (typeof text !== 'string') return [];
  if (text === '' && !thoughtSignature) return [];
  return [{ type: thought === true ? 'reasoning' : 'text', text, ...opaque }];
}

/** Reads the pieces of one answer. */
export class ContentStream {
  #started = false;
  #calls = 0;

  /** Throws a {@link ProviderError} for an error that comes in place of a piece. */
  *read(value: unknown): Generator<ModelEvent> {
    const response = (value ?? {}) as Response;
    if (response.error !== undefined || Array.isArray(value)) throw fromAnswer(statusIn(value));
    if (!this.#started) yield this.#start(response);
    for (const part of wirePartsOf(response)) {
      for (const piece of partOf(part)) yield* this.#piece(piece);
    }
    if (response.usageMetadata) yield { type: 'usage', usage: usageOf(response.usageMetadata) };
    const reason = finishOf(response, this.#calls > 0);
    if (reason) yield { type: 'finish', reason };
  }

  #start({ responseId: id, modelVersion: model }: Response): ModelEvent {
    this.#started = true;
    return {
      type: 'start',
      ...(typeof id === 'string' ? { id } : {}),
      ...(typeof model === 'string' ? { model } : {}),
    };
  }

  *#piece(part: AnswerPart): Generator<ModelEvent> {
    if (part.type !== 'toolCall') {
      yield part;
      return;
    }
    const { arguments: args, ...call } = part;
    const index = this.#calls;
    this.#calls += 1;
    yield { ...call, index };
    yield { type: 'toolArguments', index, arguments: args };
  }
}

function statusIn(body: unknown): Parameters<typeof fromAnswer>[0] {
  const { error } = ((Array.isArray(body) ? body[0] : body) ?? {}) as { error?: { code?: unknown } };
  const status = typeof error?.code === 'number' ? { status: error.code } : {};
  return { ...errorOf(body), ...status };
}

const broken = new Set([
  'OTHER',
  'MALFORMED_RESPONSE',
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MISSING_THOUGHT_SIGNATURE',
]);

function finishOf({ promptFeedback, candidates }: Response, called: boolean): FinishReason | undefined {
  if (promptFeedback?.blockReason) return 'contentFilter';
  const reason = candidates?.[0]?.finishReason;
  if (!reason || reason === 'FINISH_REASON_UNSPECIFIED') return undefined;
  // Servers that merely speak the protocol say FUNCTION_CALL.
  if (reason === 'STOP' || reason === 'FUNCTION_CALL') return called ? 'toolCalls' : 'stop';
  if (reason === 'MAX_TOKENS' || reason === 'CONTINUATION') return 'length';
  if (broken.has(reason)) throw new ProviderError('malformed', `gave up with ${reason}`);
  // What is left are filters: safety, recitation, blocklists, languages.
  return 'contentFilter';
}

/** Google's input includes what was read from the cache; thoughts count as output. */
function usageOf(counts: Counts): Usage {
  const reasoning = counts.thoughtsTokenCount ?? 0;
  return {
    inputTokens: (counts.promptTokenCount ?? 0) + (counts.toolUsePromptTokenCount ?? 0),
    cachedInputTokens: counts.cachedContentTokenCount ?? 0,
    cacheWriteTokens: 0,
    outputTokens: (counts.candidatesTokenCount ?? 0) + reasoning,
    reasoningTokens: reasoning,
  };
}
