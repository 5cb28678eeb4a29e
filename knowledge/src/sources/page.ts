// One document at an address.
import type { RawDocument } from '../documents.ts';
import { SourceError } from '../source-error.ts';
import { kindOf } from '../text.ts';
import { refusedStatus, type Web } from '../web.ts';
import { unsupported } from './config-map.ts';

export interface Page {
  /** By which the server is asked whether it has changed. */
  tag?: string;
  document: RawDocument;
}

export interface PageRequest {
  url: string;
  auth: Record<string, string>;
  /** Of what was read before. */
  tag: string | undefined;
  maxBytes: number;
  signal: AbortSignal;
}

const ACCEPT = { accept: 'text/markdown, text/html;q=0.9, text/plain;q=0.8, */*;q=0.1' };

/** Undefined if it is as it was. */
export async function readPage(web: Web, { url, auth, tag, maxBytes, signal }: PageRequest): Promise<Page | undefined> {
  const headers = { ...ACCEPT, ...(tag !== undefined && { 'if-none-match': tag }) };
  const answer = await web.fetch({ url, headers, auth, maxBytes, signal });
  const { host, pathname } = new URL(url);
  if (answer.status === 304 && tag !== undefined) return undefined;
  if (answer.status < 200 || answer.status >= 300) throw refusedStatus(answer.status, host);
  const kind = kindOf(pathname, answer.headers['content-type'] ?? '');
  if (!kind) throw unsupported(`document at ${host}${pathname}`);
  const etag = answer.headers['etag'];
  return {
    ...(etag !== undefined && { tag: etag }),
    document: { path: pathname, url, kind, content: textOf(answer.body, answer.headers['content-type']) },
  };
}

function textOf(body: Buffer, type = ''): string {
  const charset = /charset="?([-_a-z0-9]+)/i.exec(type)?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body);
  } catch {
    throw new SourceError('UnsupportedDocument', `The document is not text in ${charset}: serve it with its charset.`);
  }
}
