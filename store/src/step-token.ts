// The token that a step shows at the gateway: good for one attempt of one step, and for nothing else.
//
//   k1.<base64url of JSON claims>.<base64url of HMAC-SHA256 over what stands before it>
//
// The algorithm is fixed by the prefix, so that no header can talk the verifier into another one.
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface StepClaims {
  /** UID of the Run. */
  run: string;
  /** Id of the step, such as research[2]. */
  step: string;
  attempt: number;
  namespace: string;
  agent: string;
  /** Name of the Job whose pod alone may use the token. */
  job?: string;
  /** An engine asks itself, for a step that has no agent: needs no other token, and is good for tools and code alone. */
  engine?: true;
}

const PREFIX = 'k1';
/** Longer than any token that is minted here; keeps rubbish cheap to refuse. */
const MAX_LENGTH = 4096;

/** Signs the claims with the store's secret `step-token`. `expiresAt`: milliseconds since 1970. */
export function mintStepToken(secret: Uint8Array, claims: StepClaims, expiresAt: number): string {
  const { run, step, attempt, namespace, agent, job, engine } = claims;
  const body = {
    ...{ run, step, attempt, namespace, agent },
    ...(job === undefined ? {} : { job }),
    ...(engine && { engine }),
    exp: expiresAt,
  };
  const signed = `${PREFIX}.${Buffer.from(JSON.stringify(body)).toString('base64url')}`;
  return `${signed}.${signature(secret, signed).toString('base64url')}`;
}

/** The claims of a token that was minted with this secret and is not over at `now`; else undefined. Never throws. */
export function verifyStepToken(secret: Uint8Array, token: string, now: number): StepClaims | undefined {
  if (token.length > MAX_LENGTH) return undefined;
  const [prefix, payload, mac, ...rest] = token.split('.');
  if (prefix !== PREFIX || payload === undefined || mac === undefined || rest.length > 0) return undefined;
  const expected = signature(secret, `${prefix}.${payload}`);
  const given = Buffer.from(mac, 'base64url');
  // Base64 has several spellings of the same bytes; only the canonical one is a token.
  if (given.length !== expected.length || given.toString('base64url') !== mac) return undefined;
  if (!timingSafeEqual(given, expected)) return undefined;
  return readClaims(payload, now);
}

function readClaims(payload: string, now: number): StepClaims | undefined {
  const { exp, ...claims } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as StepClaims & { exp: number };
  return now < exp ? claims : undefined;
}

function signature(secret: Uint8Array, text: string): Buffer {
  return createHmac('sha256', secret).update(text).digest();
}
