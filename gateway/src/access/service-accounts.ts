// Who calls, from a projected ServiceAccount token. Asking the API server about each call would cost a round trip and
// make it a bottleneck, so answers are remembered: at most a minute, and never beyond the token's own end.
import { BoundedMap } from '@kadre/store';
import { createHash } from 'node:crypto';
import { GatewayError, unauthorized } from '../errors.ts';
import type { Authenticator, Clock, Identity } from '../options.ts';

const POSITIVE_MS = 60_000;
const NEGATIVE_MS = 5_000;
const CAPACITY = 10_000;
/** Longer than any token of Kubernetes; keeps rubbish from reaching the API server. */
const MAX_TOKEN_LENGTH = 8192;

interface Remembered {
  identity: Identity | undefined;
  until: number;
}

/** Identifies the caller from the `authorization` header, or throws a 401; a 503 if the API server does not answer. */
export type Identify = (authorization: string | undefined) => Promise<Identity>;

export function createIdentify(authenticate: Authenticator, clock: Clock): Identify {
  // Keyed by digest: whoever reads the process's memory finds no tokens here.
  const remembered = new BoundedMap<string, Remembered>(CAPACITY);
  const asking = new Map<string, Promise<Remembered>>();

  const ask = async (token: string, key: string): Promise<Remembered> => {
    try {
      const identity = await authenticate(token);
      const now = clock.now();
      const until = identity ? Math.min(now + POSITIVE_MS, expiryOf(token)) : now + NEGATIVE_MS;
      const answer = { identity, until };
      remembered.set(key, answer);
      return answer;
    } catch (error) {
      throw new GatewayError(
        503,
        'InternalError',
        'The token cannot be checked now: the Kubernetes API does not answer.',
        {
          retryAfter: '1',
          cause: error,
        },
      );
    } finally {
      asking.delete(key);
    }
  };

  return async (authorization) => {
    const token = bearerToken(authorization);
    const key = createHash('sha256').update(token).digest('base64url');
    const known = remembered.get(key);
    let answer = known && clock.now() < known.until ? known : undefined;
    if (!answer) {
      const question = asking.get(key) ?? ask(token, key);
      asking.set(key, question);
      answer = await question;
    }
    if (!answer.identity) throw unauthorized('The token is not valid for the gateway, or it has expired.');
    return answer.identity;
  };
}

function bearerToken(authorization: string | undefined): string {
  const token = /^bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) {
    throw unauthorized("Send the pod's projected ServiceAccount token as `Authorization: Bearer <token>`.");
  }
  if (token.length > MAX_TOKEN_LENGTH) throw unauthorized('The token is too long to be a ServiceAccount token.');
  return token;
}

/** The `exp` of a JWT in milliseconds since 1970; Infinity if it has none. Its signature is the API server's business. */
function expiryOf(token: string): number {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const exp = (payload as { exp?: unknown } | null)?.exp;
    return typeof exp === 'number' ? exp * 1000 : Infinity;
  } catch {
    return Infinity;
  }
}
