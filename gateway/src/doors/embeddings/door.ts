// POST /v1/embeddings
import type { Usage } from '../../conversation/answer.ts';
import type { EmbeddingAnswer, EmbeddingRequest } from '../../conversation/embedding.ts';
import { addEmbeddingRoute, type Door, type EmbeddingDialect, type Envelope } from '../door.ts';
import { defined } from '../defined.ts';
import { Fields } from '../fields.ts';
import { nativeFields } from '../native.ts';

interface Options {
  format: 'float' | 'base64';
}

const MAX_INPUTS = 2048;
const MAX_TOKENS = 65_536;
const MAX_DIMENSIONS = 65_536;

const dialect: EmbeddingDialect<Options> = {
  name: 'embeddings',
  parse: (body) => {
    const fields = new Fields(body);
    const model = fields.required('model', 253);
    const inputs = inputsOf(fields);
    const dimensions = fields.integer('dimensions', 1, MAX_DIMENSIONS);
    const format = fields.oneOf('encoding_format', ['float', 'base64'] as const) ?? 'float';
    const native = nativeFields('embeddings', fields.rest(), { hints: new Set(['user']), refused: {} });
    const request: EmbeddingRequest = { model, inputs, ...defined({ dimensions }), native };
    return { request, options: { format } };
  },
  answer: ({ vectors, usage }: EmbeddingAnswer & { usage: Usage }, { model }: Envelope, { format }) => ({
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: format === 'base64' ? base64Of(vector) : Array.from(vector),
    })),
    model,
    usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens },
  }),
};

/** A text, texts, tokens, or lists of tokens. */
function inputsOf(fields: Fields): EmbeddingRequest['inputs'] {
  const input = fields.any('input');
  if (input === undefined) throw fields.wrong('input', 'is missing');
  const list = typeof input === 'string' ? [input] : fields.list('input', MAX_TOKENS);
  if (!list || list.length === 0) throw fields.wrong('input', 'must have at least one entry');
  if (isTokens(list)) return [list];
  if (list.length > MAX_INPUTS) throw fields.wrong('input', `must have at most ${MAX_INPUTS} entries`);
  return list.map((one, index) => {
    if (typeof one === 'string' && one !== '') return one;
    if (Array.isArray(one) && one.length > 0 && one.length <= MAX_TOKENS && isTokens(one)) return one;
    throw fields.wrong(`input[${index}]`, 'must be a text that says something, or a list of tokens');
  });
}

const isTokens = (list: unknown[]): list is number[] =>
  list.every((one) => typeof one === 'number' && Number.isInteger(one) && one >= 0);

/** 32-bit floats, the lowest byte first. */
function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, index) => bytes.writeFloatLE(value, index * 4));
  return bytes.toString('base64');
}

export const embeddingsDoor: Door = (api, services) => addEmbeddingRoute(api, '/v1/embeddings', dialect, services);
