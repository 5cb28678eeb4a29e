// A watch is JSON objects, one a line, in chunks that end anywhere: within a line, within a character.
import { KubeError, kubeReasons } from './errors.ts';
import type { KubeStatus } from './errors.ts';
import type { KubeObject } from './plan.ts';

export interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: KubeObject;
}

const newline = 0x0a;
/** etcd holds objects of up to 1.5 MB; a line far beyond that is no event. */
const longestLine = 32 * 1024 * 1024;

/** Rejects with a KubeError when the server reports one, and when a line is no event. */
export async function* decodeWatch(chunks: AsyncIterable<Buffer>): AsyncGenerator<WatchEvent> {
  for await (const line of splitLines(chunks)) {
    if (line.trim() !== '') yield decodeLine(line);
  }
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  // Bytes are joined before they are decoded, so that a character cut in two is whole again.
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      yield Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8');
      parts = [];
      size = 0;
      start = end + 1;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > longestLine) throw malformed(`a watch event is larger than ${longestLine} bytes`);
  }
  // What is left without a newline was cut off; the watch that follows sends it again.
}

function decodeLine(line: string): WatchEvent {
  const event = parse(line) as { type?: string; object?: KubeObject } | null;
  if (event?.type === 'ERROR') throw asError(event.object as unknown as KubeStatus | undefined);
  const metadata: unknown = event?.object?.metadata;
  if (typeof metadata !== 'object' || metadata === null || !isEventType(event?.type))
    throw malformed('not a watch event');
  return event as WatchEvent;
}

const isEventType = (type: string | undefined) =>
  type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK';

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw malformed('a watch event is not JSON', cause);
  }
}

function asError(status: KubeStatus | undefined): KubeError {
  const code = status?.code ?? 500;
  const seconds = status?.details?.retryAfterSeconds;
  return new KubeError(`watch: ${code} ${status?.message ?? 'unknown error'}`, {
    code,
    reason: status?.reason ?? (code === 410 ? 'Expired' : 'InternalError'),
    status,
    retryAfter: seconds === undefined ? undefined : seconds * 1000,
  });
}

const malformed = (message: string, cause?: unknown) =>
  new KubeError(`watch: ${message}`, { code: 0, reason: kubeReasons.malformed, cause });
