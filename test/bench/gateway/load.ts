// The clients, in a process of their own: does what it is told, and says what came of it. Ends with whoever started it.
import { Agent, request, type IncomingMessage } from 'node:http';
import { CHUNKS, PACE_MS, PACED, STREAM, WHOLE } from './answers.ts';

/** Where requests go. */
export interface Target {
  /** Of chat completions. */
  url: string;
  headers: Record<string, string>;
  /** Has a header with another number for each call. */
  numbered?: string;
}

export type Order =
  | { do: 'compare'; through: Target; direct: Target; count: number; ms: number; streamed: boolean }
  | { do: 'saturate'; through: Target; width: number; ms: number; streamed: boolean }
  | { do: 'hold'; through: Target; streams: number };

/** Milliseconds of each request: to the end, or to the first content of a stream. */
export interface Compared {
  through: number[];
  direct: number[];
}
export interface Saturated {
  requests: number;
  failed: number;
  seconds: number;
}
export interface Held {
  /** Streams that came to their end without a stall. */
  held: number;
  /** Milliseconds without a chunk, at the most. */
  longestGapMs: number;
  /** Milliseconds until the first content, at the most. */
  longestWaitMs: number;
}

/** A stream stalls where nothing comes for so long. */
const STALL_MS = 5 * PACE_MS;
/** Streams begin over this time, as those of people do. */
const BEGIN_MS = 2000;
const PROMPT = 'Tell me what foxes do all day, and be brief. '.repeat(4);
const CONTENT = '"content":"Fox';

const connections = new Agent({ keepAlive: true, maxSockets: Infinity });
const bodies = new Map(
  [WHOLE, STREAM, PACED].map((model) => {
    const stream = model === WHOLE ? {} : { stream: true, stream_options: { include_usage: true } };
    const messages = [
      { role: 'system', content: 'You answer.' },
      { role: 'user', content: PROMPT },
    ];
    return [model, Buffer.from(JSON.stringify({ model, messages, max_tokens: 200, ...stream }))];
  }),
);
let number = 0;

process.once('disconnect', () => process.exit(0));
process.on('message', (order: Order) => {
  obey(order).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});

function obey(order: Order): Promise<Compared | Saturated | Held> {
  if (order.do === 'compare') return compare(order);
  return order.do === 'saturate' ? saturate(order) : hold(order);
}

/** In turn, so that a slower moment of the machine meets both: so often, or as often as the time allows. */
async function compare({ through, direct, count, ms, streamed }: Order & { do: 'compare' }): Promise<Compared> {
  const begun = performance.now();
  const times: Compared = { through: [], direct: [] };
  const timed = async (target: Target) => {
    const started = performance.now();
    if (!streamed) {
      await ask(target, WHOLE);
      return performance.now() - started;
    }
    let first = Number.NaN;
    await ask(target, STREAM, () => (first = Number.isNaN(first) ? performance.now() - started : first));
    return first;
  };
  for (let i = 0; i < count && performance.now() - begun < ms; i++) {
    times.direct.push(await timed(direct));
    times.through.push(await timed(through));
  }
  return times;
}

/** So many at once, for as long as it is said. */
async function saturate({ through, width, ms, streamed }: Order & { do: 'saturate' }): Promise<Saturated> {
  const started = performance.now();
  let [requests, failed] = [0, 0];
  const worker = async () => {
    while (performance.now() - started < ms) {
      await ask(through, streamed ? STREAM : WHOLE).catch(() => (failed += 1));
      requests += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return { requests, failed, seconds: (performance.now() - started) / 1000 };
}

async function hold({ through, streams }: Order & { do: 'hold' }): Promise<Held> {
  const result: Held = { held: 0, longestGapMs: 0, longestWaitMs: 0 };
  const one = async (index: number) => {
    await new Promise((resolve) => setTimeout(resolve, (index * BEGIN_MS) / streams));
    const started = performance.now();
    let [last, chunks, longest] = [0, 0, 0];
    await ask(through, PACED, (count) => {
      const now = performance.now();
      if (last === 0) result.longestWaitMs = Math.max(result.longestWaitMs, now - started);
      else longest = Math.max(longest, now - last);
      last = now;
      chunks += count;
    });
    result.longestGapMs = Math.max(result.longestGapMs, longest);
    if (chunks === CHUNKS && longest < STALL_MS) result.held += 1;
  };
  await Promise.all(Array.from({ length: streams }, (_, index) => one(index).catch(() => undefined)));
  return result;
}

/** Rejects unless it is answered with 200 and to the end. `heard`: how many chunks with content have just come. */
function ask(target: Target, model: string, heard?: (chunks: number) => void): Promise<void> {
  const { url, headers, numbered } = target;
  const body = bodies.get(model) ?? '';
  const own = { 'content-type': 'application/json', 'content-length': body.length };
  const count = numbered === undefined ? {} : { [numbered]: String(++number) };
  const sent = { ...headers, ...own, ...count };
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', agent: connections, headers: sent });
    call.on('response', (response) => resolve(read(response, heard)));
    call.on('error', reject).end(body);
  });
}

function read(response: IncomingMessage, heard: ((chunks: number) => void) | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let tail = '';
    response.setEncoding('latin1').on('data', (piece: string) => {
      if (!heard) return;
      const text = tail + piece;
      tail = text.slice(1 - CONTENT.length);
      const chunks = text.split(CONTENT).length - 1;
      if (chunks > 0) heard(chunks);
    });
    response.on('error', reject).on('end', () => {
      if (response.statusCode === 200) resolve();
      else reject(new Error(`HTTP ${response.statusCode}`));
    });
  });
}
