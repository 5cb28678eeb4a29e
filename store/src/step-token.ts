// The token that a step shows at the gateway: good for one attempt of one step, and for nothing else.
//
//   k1.<base64url of JSON claims>.<base64url of HMAC-SHA256 over what stands before it>
//
// The algorithm is fixed by the prefix, so that no header can talk the verifier into another one.
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface StepClaims {
  /** UID of the Run. */
  run: string;
  /** Id of the step, such as research[2]; of what an agent has handed to another one, that with the number of the call: research[2]/3. */
  step: string;
  attempt: number;
  namespace: string;
  agent: string;
  /** Name of the Job whose pod alone may use the token. */
  job?: string;
  /** An engine asks itself, for a step that has no agent: needs no other token, and is good for tools and code alone. */
  engine?: true;
  /** The agents that have handed each other a part of the step: the first is the step's own, the last has asked this one. */
  delegators?: string[];
  /** Whoever asked had read words of strangers, which may be among what is asked. */
  tainted?: true;
  /** Of a token that was shown: when it is over, in milliseconds since 1970. */
  expiresAt?: number;
}

const PREFIX = 'k1';
/** Longer than any token that is minted here; keeps rubbish cheap to refuse. */
const MAX_LENGTH = 4096;

/** Signs the claims with the store's secret `step-token`. `expiresAt`: milliseconds since 1970. */
export function mintStepToken(secret: Uint8Array, claims: StepClaims, expiresAt: number): string {
  const { run, step, attempt, namespace, agent, job, engine, delegators, tainted } = claims;
  const body = {
    ...{ run, step, attempt, namespace, agent },
    ...(job === undefined ? {} : { job }),
    ...(engine && { engine }),
    ...(delegators && { delegators }),
    ...(tainted && { tainted }),
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

/** Claims of a part of a step that its agent hands to another one with its call of that number. */
export function delegatedClaims(claims: StepClaims, call: number, agent: string, tainted: boolean): StepClaims {
  const { run, step, attempt, namespace, delegators = [] } = claims;
  return {
    ...{ run, step: `${step}/${call}`, attempt, namespace, agent },
    delegators: [...delegators, claims.agent],
    ...((tainted || claims.tainted) && { tainted: true as const }),
  };
}

/** For whom else the step of the claims is done: the parts and the step that it is in, and the agent of each, outermost first. */
export function delegatorsOf({ step, delegators = [] }: StepClaims): { step: string; agent: string }[] {
  const parts = step.split('/');
  return delegators.map((agent, index) => ({
    step: parts.slice(0, parts.length - delegators.length + index).join('/'),
    agent,
  }));
}

/** The step of the Workflow that the claims belong to: for its account is what they use. */
export const stepOfWorkflow = (claims: StepClaims): string => delegatorsOf(claims)[0]?.step ?? claims.step;

function readClaims(payload: string, now: number): StepClaims | undefined {
  const { exp, ...claims } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as StepClaims & { exp: number };
  return now < exp ? { ...claims, expiresAt: exp } : undefined;
}

function signature(secret: Uint8Array, text: string): Buffer {
  return createHmac('sha256', secret).update(text).digest();
}
