import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { Credential } from './pki.ts';

/** JSON over HTTPS to one API server, as one client. Paths start with `/api` or `/apis`. */
export interface Api {
  /** Any request. Resolves for every HTTP status; rejects when there was no answer. */
  call(method: string, path: string, body?: unknown, contentType?: string): Promise<Answer>;
  /** The parsed object; throws an Error with the server's message when the status is not 2xx. */
  get<T = unknown>(path: string): Promise<T>;
  /** Creates or updates `object` at its full path by server-side apply, taking fields over from other managers. */
  apply<T = unknown>(path: string, object: object): Promise<T>;
  /** JSON merge patch (RFC 7396). */
  merge<T = unknown>(path: string, patch: object): Promise<T>;
}

/** `body` is parsed JSON where the answer is JSON, and text elsewhere. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface ApiCredentials extends Credential {
  readonly url: string;
  readonly authority: string;
}

const timeoutMs = 30_000;

export function createApi({ url, authority, certificate, key }: ApiCredentials): Api {
  const tls = { ca: readFileSync(authority), cert: readFileSync(certificate), key: readFileSync(key) };

  const call: Api['call'] = (method, path, body, contentType = 'application/json') =>
    new Promise((resolve, reject) => {
      // No agent: a connection that is kept would be half-open after the API server was killed.
      const options = { method, ...tls, agent: false, timeout: timeoutMs, headers: { 'content-type': contentType } };
      const outgoing = request(new URL(path, url), options, (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        incoming.on('error', reject);
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: parse(text) }));
      });
      outgoing.on('error', reject);
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer within ${timeoutMs} ms`)));
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });

  const succeed = async <T>(method: string, path: string, body?: unknown, contentType?: string): Promise<T> => {
    const answer = await call(method, path, body, contentType);
    if (answer.status < 200 || answer.status > 299) {
      throw new Error(`${method} ${path}: ${answer.status} ${messageOf(answer.body)}`);
    }
    return answer.body as T;
  };

  return {
    call,
    get: (path) => succeed('GET', path),
    apply: (path, object) =>
      succeed('PATCH', `${path}?fieldManager=kadre-cluster&force=true`, object, 'application/apply-patch+yaml'),
    merge: (path, patch) => succeed('PATCH', path, patch, 'application/merge-patch+json'),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messageOf(body: unknown): string {
  if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message);
  return typeof body === 'string' ? body : JSON.stringify(body);
}
