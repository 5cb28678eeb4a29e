// The neutral request in the words of OpenAI's chat completions.
import type { Effort, ImagePart, Message, ModelRequest, Part, ToolResultPart } from '../../conversation/request.ts';
import { textOf } from '../../conversation/text.ts';
import { effortOf } from '../effort.ts';

export interface ChatFlavour {
  /** OpenAI renamed it; servers that speak its protocol mostly know the old name alone. */
  maxTokens: 'max_completion_tokens' | 'max_tokens';
}

/** Undefined fields are not sent. */
export function chatBody(request: ModelRequest, model: string, streamed: boolean, { maxTokens }: ChatFlavour): object {
  const { sampling, tools, native } = request;
  const own = native?.dialect === 'chat-completions' ? { ...native.hints, ...native.fields } : {};
  return {
    ...own,
    model,
    messages: request.messages.flatMap(messagesOf),
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    seed: sampling.seed,
    frequency_penalty: sampling.frequencyPenalty,
    presence_penalty: sampling.presencePenalty,
    stop: sampling.stop,
    [maxTokens]: sampling.maxTokens,
    ...(tools === undefined ? {} : { tools: tools.map(toolOf), tool_choice: choiceOf(request) }),
    parallel_tool_calls: tools === undefined ? undefined : request.parallelToolCalls,
    response_format: formatOf(request),
    reasoning_effort: effortIn(request),
    ...(streamed ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
}

const effortIn = ({ reasoning }: ModelRequest): Effort | undefined => reasoning && effortOf(reasoning);

const toolOf = ({ name, description, parameters, strict }: NonNullable<ModelRequest['tools']>[number]): object => ({
  type: 'function',
  function: { name, description, parameters, strict },
});

function choiceOf({ toolChoice }: ModelRequest): unknown {
  return typeof toolChoice === 'object' ? { type: 'function', function: { name: toolChoice.name } } : toolChoice;
}

function formatOf({ output }: ModelRequest): object | undefined {
  if (output === undefined || output.type === 'text') return undefined;
  if (output.type === 'json') return { type: 'json_object' };
  const { name, description, schema, strict } = output;
  return { type: 'json_schema', json_schema: { name, description, schema, strict } };
}

function messagesOf(message: Message): object[] {
  const { role, parts, name } = message;
  const own = name === undefined ? {} : { name };
  if (role === 'tool') return toolMessages(parts);
  if (role === 'assistant') return [{ role, ...own, ...assistantContent(parts) }];
  return [{ role, ...own, content: contentOf(parts) }];
}

function assistantContent(parts: readonly Part[]): object {
  const calls = parts.flatMap((part) => (part.type === 'toolCall' ? [part] : []));
  const refusal = parts.flatMap((part) => (part.type === 'refusal' ? [part.text] : [])).join('');
  const spoken = parts.filter(({ type }) => type === 'text' || type === 'native');
  return {
    content: spoken.length === 0 ? null : contentOf(spoken),
    ...(refusal === '' ? {} : { refusal }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map(({ id, name, arguments: args }) => ({
            id,
            type: 'function',
            function: { name, arguments: args === '' ? '{}' : args },
          })),
        }),
  };
}

/** Text alone is sent as a string: some servers know nothing else. */
function contentOf(parts: readonly Part[]): string | object[] {
  if (parts.every(({ type }) => type === 'text')) return textOf(parts);
  return parts.flatMap((part): object[] => {
    if (part.type === 'text') return [{ type: 'text', text: part.text }];
    if (part.type === 'image') return [imageOf(part)];
    return part.type === 'native' ? [part.value] : [];
  });
}

const imageOf = ({ source, detail }: ImagePart): object => ({
  type: 'image_url',
  image_url: { url: 'url' in source ? source.url : `data:${source.mediaType};base64,${source.data}`, detail },
});

/** Results hold text alone in this protocol; their images follow as words of the user. */
function toolMessages(parts: readonly Part[]): object[] {
  const results = parts.filter((part): part is ToolResultPart => part.type === 'toolResult');
  const images = results.flatMap((result) => result.parts.filter((part): part is ImagePart => part.type === 'image'));
  const messages: object[] = results.map(({ id, parts: said }) => ({
    role: 'tool',
    tool_call_id: id,
    content: textOf(said),
  }));
  return images.length === 0 ? messages : [...messages, { role: 'user', content: images.map(imageOf) }];
}
