// The body of POST /v1beta/models/{model}:generateContent.
import type {
  JsonSchema,
  ModelRequest,
  OutputFormat,
  ReasoningSettings,
  ToolChoice,
  ToolDefinition,
} from '../../conversation/request.ts';
import { defined } from '../defined.ts';
import { Fields } from '../fields.ts';
import { nativeFields, notOffered, unless, type FieldRules } from '../native.ts';
import { contentsOf, instructionsOf } from './contents.ts';
import { jsonSchemaOf } from './schema.ts';

const MAX_TOOLS = 1024;
const MAX_STOPS = 64;

/** Throws a 400 that names the first field that is wrong. */
export function parseContent(body: unknown, model: string): ModelRequest {
  const fields = new Fields(body);
  const messages = [...instructionsOf(fields), ...contentsOf(fields)];
  const config = fields.object('generationConfig') ?? new Fields({}, 'generationConfig');
  const declared = toolsOf(fields);
  const choice = choiceOf(fields);
  const allowed = choice.only;
  const tools = allowed ? declared.filter(({ name }) => allowed.includes(name)) : declared;
  const sampling = defined({
    temperature: config.number('temperature', 0, 2),
    topP: config.number('topP', 0, 1),
    topK: config.number('topK', 0),
    seed: config.integer('seed'),
    presencePenalty: config.number('presencePenalty', -2, 2),
    frequencyPenalty: config.number('frequencyPenalty', -2, 2),
    maxTokens: config.integer('maxOutputTokens', 1),
    stop: config.strings('stopSequences', MAX_STOPS),
  });
  const output = formatOf(config);
  const reasoning = reasoningOf(config.object('thinkingConfig'));
  const native = nativeFields('generate-content', fields.rest(), rules);
  if (takesFiltersAway(native.fields['safetySettings'])) {
    native.hints['safetySettings'] = native.fields['safetySettings'];
    delete native.fields['safetySettings'];
  }
  const rest = nativeFields('generate-content', config.rest(), configRules).fields;
  if (Object.keys(rest).length > 0) native.fields['generationConfig'] = rest;
  return {
    model,
    messages,
    ...(tools.length === 0 ? {} : { tools, ...defined({ toolChoice: choice.toolChoice }) }),
    ...defined({ output, reasoning }),
    sampling,
    native,
  };
}

const rules: FieldRules = {
  hints: new Set(['labels', 'model']),
  refused: {
    serviceTier: unless('standard', 'SERVICE_TIER_STANDARD', 'SERVICE_TIER_UNSPECIFIED'),
    store: unless(false),
  },
};

const configRules: FieldRules = {
  hints: new Set(['responseModalities']),
  refused: {
    candidateCount: unless(1),
    responseLogprobs: unless(false),
    logprobs: unless(0),
    responseModalities: (value) => !['["TEXT"]', '[]'].includes(JSON.stringify(value).toUpperCase()),
    speechConfig: () => true,
    imageConfig: () => true,
  },
};

/** Of no meaning to models that have no such filters. */
const takesFiltersAway = (settings: unknown): boolean =>
  Array.isArray(settings) &&
  (settings as ({ threshold?: unknown } | null)[]).every((one) =>
    ['BLOCK_NONE', 'OFF'].includes(String(one?.threshold)),
  );

function toolsOf(fields: Fields): ToolDefinition[] {
  return (fields.objects('tools', MAX_TOOLS) ?? []).flatMap((tool) => {
    const declarations = tool.objects('functionDeclarations', MAX_TOOLS);
    const [other] = Object.keys(tool.rest());
    if (other !== undefined)
      throw tool.wrong(other, 'is a tool that the gateway does not know: it knows functions alone');
    return (declarations ?? []).map(toolOf);
  });
}

function toolOf(declaration: Fields): ToolDefinition {
  const schema = declaration.record('parametersJsonSchema') ?? jsonSchemaOf(declaration, 'parameters');
  return {
    name: declaration.required('name', 256),
    ...defined({ description: declaration.string('description'), parameters: schema }),
  };
}

const modes = { AUTO: 'auto', MODE_UNSPECIFIED: 'auto', VALIDATED: 'auto', NONE: 'none', ANY: 'required' } as const;

/** Several tools that are allowed are the only ones that there are. */
function choiceOf(fields: Fields): { toolChoice?: ToolChoice; only?: string[] } {
  const config = fields.object('toolConfig')?.object('functionCallingConfig');
  if (!config) return {};
  const mode = config.oneOf('mode', Object.keys(modes) as (keyof typeof modes)[]) ?? 'AUTO';
  const only = config.strings('allowedFunctionNames', MAX_TOOLS) ?? [];
  const [name] = only;
  if (name === undefined) return { toolChoice: modes[mode] };
  return { toolChoice: mode === 'ANY' && only.length === 1 ? { name } : modes[mode], only };
}

function formatOf(config: Fields): OutputFormat | undefined {
  const type = config.string('responseMimeType', 128);
  const schema: JsonSchema | undefined = config.record('responseJsonSchema') ?? jsonSchemaOf(config, 'responseSchema');
  if (type === undefined || type === 'text/plain') return undefined;
  if (type !== 'application/json') throw notOffered('generationConfig.responseMimeType');
  return schema ? { type: 'schema', name: 'answer', schema, strict: true } : { type: 'json' };
}

const levels = ['minimal', 'low', 'medium', 'high'] as const;

/** -1 tokens are as many as the model likes. */
function reasoningOf(config: Fields | undefined): ReasoningSettings | undefined {
  if (!config) return undefined;
  const word = config.string('thinkingLevel', 64)?.toLowerCase();
  const effort = levels.find((level) => level === word);
  if (word !== undefined && effort === undefined && word !== 'thinking_level_unspecified') {
    throw config.wrong('thinkingLevel', `must be one of ${levels.join(', ').toUpperCase()}`);
  }
  const tokens = config.integer('thinkingBudget', -1);
  const visible = config.boolean('includeThoughts');
  return {
    ...(tokens === 0 ? { effort: 'none' } : defined({ effort })),
    ...(tokens !== undefined && tokens > 0 ? { budgetTokens: tokens } : {}),
    ...(visible ? { visible } : {}),
  };
}
