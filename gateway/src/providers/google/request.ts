// The neutral request in the words of Google's Gemini API.
import type { Message, ModelRequest, Part, ReasoningSettings, ToolResultPart } from '../../conversation/request.ts';
import { instructionsOf, textOf, toolNamesOf } from '../../conversation/text.ts';
import { argumentsOf } from '../../conversation/arguments.ts';
import { budgetOf, effortOf } from '../effort.ts';
import { inlineImage } from '../parts.ts';
import { countsThoughts, wantsSignatures } from './models.ts';

type WirePart = Record<string, unknown>;

/** What Google takes for a signature where there is none: the call was made by a model of somebody else. */
const NO_SIGNATURE = 'skip_thought_signature_validator';

/** Undefined fields are not sent. Images stand in the request by now, or at an address that Google knows. */
export function contentBody(request: ModelRequest, model: string): object {
  const { sampling, native, tools } = request;
  const own = native?.dialect === 'generate-content' ? { ...native.hints, ...native.fields } : {};
  const system = instructionsOf(request);
  return {
    ...own,
    contents: contentsOf(request, model),
    ...(system.length === 0 ? {} : { systemInstruction: { parts: [{ text: system.join('\n\n') }] } }),
    ...(tools === undefined ? {} : { tools: toolsOf(tools), toolConfig: choiceOf(request) }),
    generationConfig: {
      ...objectIn(own, 'generationConfig'),
      temperature: sampling.temperature,
      topP: sampling.topP,
      topK: sampling.topK,
      seed: sampling.seed,
      presencePenalty: sampling.presencePenalty,
      frequencyPenalty: sampling.frequencyPenalty,
      maxOutputTokens: sampling.maxTokens,
      stopSequences: sampling.stop,
      ...formatOf(request),
      thinkingConfig: request.reasoning && thinkingOf(request.reasoning, model),
    },
  };
}

const objectIn = (own: Record<string, unknown>, name: string): object => {
  const value = own[name];
  return typeof value === 'object' && value !== null ? value : {};
};

function formatOf({ output }: ModelRequest): object {
  if (output === undefined || output.type === 'text') return {};
  return {
    responseMimeType: 'application/json',
    ...(output.type === 'schema' ? { responseJsonSchema: output.schema } : {}),
  };
}

const toolsOf = (tools: NonNullable<ModelRequest['tools']>): object[] => [
  {
    functionDeclarations: tools.map(({ name, description, parameters }) => ({
      name,
      description,
      parametersJsonSchema: parameters,
    })),
  },
];

function choiceOf({ toolChoice = 'auto' }: ModelRequest): object | undefined {
  if (toolChoice === 'auto') return undefined;
  if (toolChoice === 'none') return { functionCallingConfig: { mode: 'NONE' } };
  const only = typeof toolChoice === 'object' ? { allowedFunctionNames: [toolChoice.name] } : {};
  return { functionCallingConfig: { mode: 'ANY', ...only } };
}

const levels = {
  none: 'MINIMAL',
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
};

function thinkingOf(reasoning: ReasoningSettings, model: string): object {
  const shown = reasoning.visible ? { includeThoughts: true } : {};
  if (reasoning.budgetTokens !== undefined || countsThoughts(model)) {
    const budget = budgetOf(reasoning);
    return { ...shown, ...(budget === undefined ? {} : { thinkingBudget: budget }) };
  }
  const effort = effortOf(reasoning);
  return { ...shown, ...(effort === undefined ? {} : { thinkingLevel: levels[effort] }) };
}

/** Turns take turns; what tools said is the user's. */
function contentsOf(request: ModelRequest, model: string): { role: string; parts: WirePart[] }[] {
  const names = toolNamesOf(request);
  const contents: { role: string; parts: WirePart[] }[] = [];
  for (const message of request.messages) {
    if (message.role === 'system') continue;
    const role = message.role === 'assistant' ? 'model' : 'user';
    const parts = wireParts(message, names, wantsSignatures(model));
    const last = contents.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else if (parts.length > 0) contents.push({ role, parts });
  }
  return contents;
}

function wireParts({ parts }: Message, names: ReadonlyMap<string, string>, signed: boolean): WirePart[] {
  let calls = 0;
  return parts.flatMap((part): WirePart[] => {
    switch (part.type) {
      case 'text':
        return part.text === '' && !part.opaque ? [] : [{ text: part.text, ...signatureOf(part) }];
      case 'refusal':
        return part.text === '' ? [] : [{ text: part.text }];
      case 'image':
        return [imageOf(part)];
      case 'toolCall': {
        calls += 1;
        const functionCall = { id: part.id, name: part.name, args: argumentsOf(part.arguments) };
        // Of calls that were made at once, the first alone is signed.
        const missing = signed && calls === 1 ? { thoughtSignature: NO_SIGNATURE } : {};
        return [{ functionCall, ...missing, ...signatureOf(part) }];
      }
      case 'toolResult':
        return resultOf(part, names);
      case 'reasoning':
        return part.opaque?.family === 'google' ? [{ thought: true, text: part.text ?? '', ...signatureOf(part) }] : [];
      case 'native':
        return [part.value];
    }
  });
}

const signatureOf = ({ opaque }: Extract<Part, { opaque?: unknown }>): { thoughtSignature?: string } =>
  opaque?.family === 'google' ? { thoughtSignature: opaque.data } : {};

function imageOf(part: Extract<Part, { type: 'image' }>): WirePart {
  const inline = inlineImage(part);
  if (inline) return { inlineData: { mimeType: inline.mediaType, data: inline.data } };
  return { fileData: { fileUri: (part.source as { url: string }).url } };
}

/** The result is an object there. Images go beside it. */
function resultOf({ id, name, parts, isError }: ToolResultPart, names: ReadonlyMap<string, string>): WirePart[] {
  const response = isError ? { error: textOf(parts) } : objectOr(textOf(parts));
  const images = parts.flatMap((part) => (part.type === 'image' ? [imageOf(part)] : []));
  return [{ functionResponse: { id, name: name ?? names.get(id) ?? 'unknown', response } }, ...images];
}

function objectOr(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Below.
  }
  return { result: text };
}
