// The way out to tools: one request, one answer, both bounded, and never a redirect that is followed unseen.
import { Agent } from 'undici';
import { ToolError } from '../tool-error.ts';
import { closedTo, type WrittenBy } from './addresses.ts';
import { fromTransport } from './failures.ts';
import { guardedConnector } from './guard.ts';

export interface OutletRequest {
  method: string;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: string | Buffer;
  writtenBy: WrittenBy;
  /** Of the answer. */
  maxBytes: number;
  signal: AbortSignal;
}

export interface OutletAnswer {
  status: number;
  /** In lower case; of a header that comes twice the first. */
  headers: Readonly<Record<string, string>>;
  body: Buffer;
}

export interface Outlet {
  /** @throws ToolError */
  send(request: OutletRequest): Promise<OutletAnswer>;
  /** For clients that bring a fetch of their own. */
  readonly agents: Readonly<Record<WrittenBy, Agent>>;
  close(): Promise<void>;
}

const CONNECT_MS = 10_000;
const HEADER_BYTES = 64 * 1024;

export function createOutlet({ allowLoopback }: { allowLoopback: boolean }): Outlet {
  const agentFor = (writtenBy: WrittenBy) =>
    new Agent({
      connect: guardedConnector({
        closed: closedTo(writtenBy, allowLoopback),
        connectMs: CONNECT_MS,
        allowH2: false,
      }),
      allowH2: false,
      // The timeout of the Tool ends what takes too long.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: HEADER_BYTES,
      connections: 256,
      pipelining: 1,
    });
  const agents = { administrator: agentFor('administrator'), stranger: agentFor('stranger') };
  return {
    agents,
    send: (request) => send(agents[request.writtenBy], request),
    close: async () => {
      await Promise.all([agents.administrator.destroy(), agents.stranger.destroy()]);
    },
  };
}

async function send(agent: Agent, request: OutletRequest): Promise<OutletAnswer> {
  const { method, url, headers, body, maxBytes, signal } = request;
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      // A few bytes that unfold to many would lead around the bound.
      headers: { ...headers, 'accept-encoding': 'identity' },
      body: body ?? null,
      signal,
    });
    const received = firstOfEach(answer.headers);
    if (!['identity', undefined].includes(received['content-encoding'])) {
      answer.body.on('error', () => undefined).destroy();
      throw new ToolError('malformed', 'It sends a compressed answer, which was not asked for.', { sent: true });
    }
    return { status: answer.statusCode, headers: received, body: await readBounded(answer.body, maxBytes) };
  } catch (error) {
    throw fromTransport(error, signal);
  }
}

async function readBounded(stream: AsyncIterable<Buffer> & { destroy(): void }, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export const tooLarge = (maxBytes: number): ToolError =>
  new ToolError('tooLarge', `The answer is larger than ${maxBytes} bytes. Ask for less, or raise maxResultBytes.`, {
    sent: true,
  });

function firstOfEach(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]): [string, string][] => {
      const first = Array.isArray(value) ? value[0] : value;
      return first === undefined ? [] : [[name.toLowerCase(), first]];
    }),
  );
}
