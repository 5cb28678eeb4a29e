// The loop as a caller on the chat wire sees it: one answer, in chunks.
import { a2aMetadata, type ToolActivity } from '@kadre/crds';
import { annotationsIn } from './annotations.ts';
import type { ChatChunk, ChatCompletion } from './chat.ts';
import { Loop, messageOf, type Asked, type LoopParts } from './loop.ts';

/** Nothing that was sent can be taken back, so what the model wrote beside calls of tools stands before the answer. */
const BETWEEN = '\n\n';

export async function* callersChunks(
  parts: LoopParts,
  asked: Asked,
  onUsage: (usage: ChatCompletion['usage']) => void,
): AsyncGenerator<ChatChunk, void, undefined> {
  if (parts.config.tools) return yield* loopChunks(parts, asked, onUsage);
  const { params, messages, ...errand } = asked;
  const body = { ...params, model: parts.config.model, messages };
  for await (const chunk of parts.model.stream({ ...errand, number: 1, body })) {
    if (chunk.usage) onUsage(chunk.usage);
    yield chunk;
  }
}

async function* loopChunks(
  parts: LoopParts,
  asked: Asked,
  onUsage: (usage: ChatCompletion['usage']) => void,
): AsyncGenerator<ChatChunk, void, undefined> {
  const loop = new Loop(parts, asked, { streamed: true, restarts: 0 }, onUsage);
  const running = loop.run();
  let between = false;
  let sent = 0;
  let step = await running.next();
  for (; !step.done; step = await running.next()) {
    if ('restart' in step.value) between = true;
    if ('activity' in step.value) yield toldOf(step.value.activity);
    if (!('chunk' in step.value)) continue;
    const { chunk } = step.value;
    if (between && chunk.choices[0]?.delta?.content) {
      between = false;
      sent += BETWEEN.length;
      yield { ...chunk, choices: [{ index: 0, delta: { content: BETWEEN }, finish_reason: null }] };
    }
    sent += chunk.choices[0]?.delta?.content?.length ?? 0;
    yield chunk;
  }
  const { content } = messageOf(step.value);
  const annotations = annotationsIn(content ?? '', loop.citations.of(content), sent - (content?.length ?? 0));
  if (annotations.length > 0) {
    const { id, created } = step.value;
    yield { id, created, choices: [{ index: 0, delta: { annotations }, finish_reason: null }] };
  }
  yield* endOf(step.value, loop.usage);
}

/** A chunk that says nothing to clients which know OpenAI's fields alone. */
function toldOf(activity: ToolActivity): ChatChunk {
  return { choices: [{ index: 0, delta: {}, finish_reason: null }], [a2aMetadata.tool]: activity };
}

/** Calls of the caller's tools, why the answer ended, and what all of it came to. */
export function* endOf(completion: ChatCompletion, usage: ChatCompletion['usage']): Generator<ChatChunk, void> {
  const { id, created, choices } = completion;
  const head = { id, created };
  const calls = messageOf(completion).tool_calls ?? [];
  if (calls.length > 0) {
    const pieces = calls.map((call, index) => ({ index, ...call }));
    yield { ...head, choices: [{ index: 0, delta: { tool_calls: pieces }, finish_reason: null }] };
  }
  yield { ...head, choices: [{ index: 0, delta: {}, finish_reason: choices[0]?.finish_reason ?? 'stop' }] };
  yield { ...head, choices: [], usage };
}
