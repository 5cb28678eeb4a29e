// The neutral request in the words of OpenAI's Responses. Nothing is stored there: the conversation is with the caller,
// so thoughts travel encrypted.
import type {
  ImagePart,
  Message,
  ModelRequest,
  Part,
  ReasoningPart,
  ToolResultPart,
} from '../../conversation/request.ts';
import { textOf } from '../../conversation/text.ts';
import { effortOf } from '../effort.ts';

/** Undefined fields are not sent. */
export function responsesBody(request: ModelRequest, model: string, streamed: boolean): object {
  const { sampling, tools, native } = request;
  const own = native?.dialect === 'responses' ? { ...native.hints, ...native.fields } : {};
  return {
    ...own,
    model,
    input: request.messages.flatMap(itemsOf),
    store: false,
    include: ['reasoning.encrypted_content'],
    temperature: sampling.temperature,
    top_p: sampling.topP,
    max_output_tokens: sampling.maxTokens,
    ...(tools === undefined ? {} : { tools: tools.map(toolOf), tool_choice: choiceOf(request) }),
    parallel_tool_calls: tools === undefined ? undefined : request.parallelToolCalls,
    text: { ...textSettings(own), ...formatOf(request) },
    reasoning: reasoningOf(request),
    ...(streamed ? { stream: true } : {}),
  };
}

/** `text.verbosity` has no place in the neutral request. */
const textSettings = ({ text }: Record<string, unknown>): object =>
  typeof text === 'object' && text !== null ? text : {};

function reasoningOf({ reasoning }: ModelRequest): object | undefined {
  if (!reasoning) return undefined;
  const effort = effortOf(reasoning);
  return { ...(effort === undefined ? {} : { effort }), ...(reasoning.visible ? { summary: 'auto' } : {}) };
}

/** `strict` is on there unless it is said to be off. */
const toolOf = ({ name, description, parameters, strict }: NonNullable<ModelRequest['tools']>[number]): object => ({
  type: 'function',
  name,
  description,
  parameters: parameters ?? { type: 'object', properties: {} },
  strict: strict ?? false,
});

const choiceOf = ({ toolChoice }: ModelRequest): unknown =>
  typeof toolChoice === 'object' ? { type: 'function', name: toolChoice.name } : toolChoice;

function formatOf({ output }: ModelRequest): object {
  if (output === undefined || output.type === 'text') return {};
  if (output.type === 'json') return { format: { type: 'json_object' } };
  const { name, description, schema, strict } = output;
  return { format: { type: 'json_schema', name, description, schema, strict: strict ?? false } };
}

function itemsOf({ role, parts }: Message): object[] {
  if (role === 'tool') return parts.flatMap((part) => (part.type === 'toolResult' ? [resultOf(part)] : []));
  if (role === 'assistant') return assistantItems(parts);
  return [{ type: 'message', role, content: contentOf(parts) }];
}

const contentOf = (parts: readonly Part[]): object[] =>
  parts.flatMap((part): object[] => {
    if (part.type === 'text') return [{ type: 'input_text', text: part.text }];
    if (part.type === 'image') return [imageOf(part)];
    return part.type === 'native' ? [part.value] : [];
  });

const imageOf = ({ source, detail }: ImagePart): object => ({
  type: 'input_image',
  image_url: 'url' in source ? source.url : `data:${source.mediaType};base64,${source.data}`,
  detail: detail ?? 'auto',
});

/** In the order in which they were said: a thought stands right before the call that it led to. */
function assistantItems(parts: readonly Part[]): object[] {
  return parts.flatMap((part): object[] => {
    switch (part.type) {
      case 'text':
        if (part.text === '') return [];
        return [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: part.text }] }];
      case 'refusal':
        return [{ type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: part.text }] }];
      case 'toolCall':
        return [{ type: 'function_call', call_id: part.id, name: part.name, arguments: part.arguments || '{}' }];
      case 'reasoning':
        return thoughtOf(part);
      case 'native':
        return [part.value];
      default:
        return [];
    }
  });
}

function thoughtOf({ text, opaque }: ReasoningPart): object[] {
  if (opaque?.family !== 'openai') return [];
  const summary = text === undefined || text === '' ? [] : [{ type: 'summary_text', text }];
  return [
    {
      type: 'reasoning',
      ...(opaque.id === undefined ? {} : { id: opaque.id }),
      summary,
      encrypted_content: opaque.data,
    },
  ];
}

function resultOf({ id, parts, isError }: ToolResultPart): object {
  const plain = parts.every(({ type }) => type === 'text');
  const said = isError ? `Error: ${textOf(parts)}` : textOf(parts);
  return { type: 'function_call_output', call_id: id, output: plain ? said : contentOf(parts) };
}
