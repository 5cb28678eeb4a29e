// What is fetched from a source, by a way out that leads to no address that nobody may be sent to. Redirects are followed, but
// never with a secret to another place, and never from the network of whoever wrote the source into one that a stranger names.
import type { KnowledgeSource } from '@kadre/crds';
import { signIn, ToolError, type Outlet, type OutletAnswer, type ReadSecret } from '@kadre/tools';
import { SourceError, type SourceProblem } from './source-error.ts';

export interface Web {
  fetch(request: WebRequest): Promise<OutletAnswer & { url: string }>;
}

export interface WebRequest {
  url: string;
  method?: 'GET' | 'POST';
  headers?: Readonly<Record<string, string>>;
  body?: Buffer;
  /** Sent to the place of the first address alone. */
  auth: Readonly<Record<string, string>>;
  maxBytes: number;
  signal: AbortSignal;
}

const MOST_REDIRECTS = 5;
const MOVED = new Set([301, 302, 303, 307, 308]);
const AGENT = { 'user-agent': 'kadre' };

export function createWeb(outlet: Pick<Outlet, 'send'>): Web {
  return {
    fetch: async ({ method = 'GET', headers = {}, body, auth, maxBytes, signal, ...request }) => {
      const first = new URL(request.url);
      let url = first;
      for (let hops = 0; hops <= MOST_REDIRECTS; hops += 1) {
        const home = url.origin === first.origin;
        const answer = await outlet
          .send({
            method,
            url,
            headers: { ...AGENT, ...headers, ...(home && auth) },
            ...(body && { body }),
            writtenBy: home ? 'administrator' : 'stranger',
            maxBytes,
            signal,
          })
          .catch((error: unknown) => {
            throw asSourceError(error, url, maxBytes);
          });
        const next = method === 'GET' ? targetOf(answer, url) : undefined;
        if (!next) return { ...answer, url: url.href };
        if (url.protocol === 'https:' && next.protocol !== 'https:')
          throw new SourceError(
            'Refused',
            `${url.host} redirects from https to ${next.protocol}//, which is not followed.`,
          );
        url = next;
      }
      throw new SourceError('SourceFailed', `${first.host} redirects more than ${MOST_REDIRECTS} times.`);
    },
  };
}

function targetOf({ status, headers }: OutletAnswer, from: URL): URL | undefined {
  const location = headers['location'];
  if (!MOVED.has(status) || location === undefined) return undefined;
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url;
  throw new SourceError('Refused', `${from.host} redirects to what is no address that may be fetched.`);
}

/** The headers that sign in at a source. */
export async function signedIn({ auth }: KnowledgeSource, secret: ReadSecret): Promise<Record<string, string>> {
  try {
    return await signIn(auth, secret);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new SourceError('SecretNotFound', error.message, { passing: error.retry, cause: error });
  }
}

/** Says what a status that is none of success means. */
export function refusedStatus(status: number, host: string): SourceError {
  if (status === 401 || status === 403 || status === 407)
    return new SourceError(
      'Unauthorized',
      `${host} does not let Kadre in (HTTP ${status}): set auth, or another Secret.`,
    );
  const passing = status === 408 || status === 425 || status === 429 || status >= 500;
  return new SourceError('SourceFailed', `${host} answers HTTP ${status}.`, { passing });
}

const reasons: Partial<Record<ToolError['fault'], SourceProblem>> = {
  unreachable: 'Unreachable',
  timeout: 'TimedOut',
  refused: 'Refused',
  tooLarge: 'LimitExceeded',
};

function asSourceError(error: unknown, { host }: URL, maxBytes: number): unknown {
  if (!(error instanceof ToolError)) return error;
  const { fault, retry } = error;
  const said: Partial<Record<ToolError['fault'], string>> = {
    tooLarge: `${host} sends more than ${maxBytes} bytes: raise limits.bytes, or take fewer documents.`,
    refused: `${host} leads to an address that is never fetched: link-local ones, Kadre's own machine, and by a redirect any private one.`,
  };
  return new SourceError(reasons[fault] ?? 'SourceFailed', said[fault] ?? `${host}: ${error.message}`, {
    passing: retry || fault === 'unreachable' || fault === 'timeout',
    cause: error,
  });
}
