// The way out to providers: one pool of connections, bounded in time and size, that does not lead everywhere.
import { closedTo, guardedConnector, type WrittenBy } from '@kadre/tools';
import { Agent, type Dispatcher } from 'undici';
import type { Limits } from '../options.ts';

export interface UpstreamRequest {
  url: URL;
  headers: Record<string, string>;
  /** Absent: a GET. */
  body?: string;
  signal: AbortSignal;
}

export type UpstreamResponse = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

export interface Upstream {
  /** To providers. Redirects are answers like any other: following them would carry the API key along. */
  send: (request: UpstreamRequest) => Promise<UpstreamResponse>;
  /** To addresses that stand in a conversation: the public Internet alone, and no more than `imageBytes`. */
  fetchPublic: (request: UpstreamRequest) => Promise<UpstreamResponse>;
  close(): Promise<void>;
}

const CONNECT_MS = 10_000;

type UpstreamLimits = Pick<Limits, 'answerBytes' | 'imageBytes' | 'silenceMs' | 'allowLoopback'>;

export function createUpstream(limits: UpstreamLimits): Upstream {
  const providers = way('administrator', limits, limits.answerBytes);
  const open = way('stranger', limits, limits.imageBytes);
  return {
    send: providers.send,
    fetchPublic: open.send,
    close: async () => {
      await Promise.all([providers.agent.destroy(), open.agent.destroy()]);
    },
  };
}

function way(
  writtenBy: WrittenBy,
  { allowLoopback, silenceMs }: UpstreamLimits,
  maxResponseSize: number,
): { agent: Agent; send: Upstream['send'] } {
  const agent = new Agent({
    connect: guardedConnector({ closed: closedTo(writtenBy, allowLoopback), connectMs: CONNECT_MS }),
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    maxResponseSize,
    connections: 1024,
    pipelining: 1,
  });
  const send: Upstream['send'] = ({ url, headers, body, signal }) =>
    agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body ?? null,
      signal,
    });
  return { agent, send };
}
