// What the upstream answers, by the name of the model that is asked for.

/** A whole answer. */
export const WHOLE = 'whole';
/** A stream, all of it at once. */
export const STREAM = 'stream';
/** A stream whose chunks come at a pace. */
export const PACED = 'paced';

export const PACE_MS = 100;
export const CHUNKS = 30;
const CHUNKS_AT_ONCE = 10;

const id = 'chatcmpl-0123456789abcdef';
const created = 1_790_000_000;
const usage = { prompt_tokens: 21, completion_tokens: 40, total_tokens: 61 };
const sentence = 'The quick brown fox jumps over the lazy dog. ';

const whole = JSON.stringify({
  id,
  object: 'chat.completion',
  created,
  model: WHOLE,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: sentence.repeat(4), refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage,
});

const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
const chunk = (delta: object, finish: string | null = null) =>
  event({
    id,
    object: 'chat.completion.chunk',
    created,
    model: STREAM,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  });

/** In HTTP's chunked encoding. */
const chunked = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n';
const role = chunked(chunk({ role: 'assistant', content: '' }));
const end = event({ id, object: 'chat.completion.chunk', created, model: STREAM, choices: [], usage });

export const wholeAnswer = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(whole)}\r\n\r\n${whole}`,
);
export const streamBegin = Buffer.from(`${streamHead}${role}`);
export const streamChunk = Buffer.from(chunked(chunk({ content: 'Fox jumps. ' })));
export const streamEnd = Buffer.from(`${chunked(`${chunk({}, 'stop')}${end}data: [DONE]\n\n`)}0\r\n\r\n`);
export const streamAtOnce = Buffer.concat([
  streamBegin,
  ...Array.from({ length: CHUNKS_AT_ONCE }, () => streamChunk),
  streamEnd,
]);
