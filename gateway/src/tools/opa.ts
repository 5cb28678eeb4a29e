// What an Open Policy Agent says about a call. Whatever is not a clear yes is a no.
import { milliseconds, type Tool, type ToolSpec } from '@kadre/crds';
import { closedTo, guardedConnector } from '@kadre/tools';
import { Agent } from 'undici';
import type { Clock } from '../options.ts';
import { Refusal } from './refusal.ts';

type OpaPolicy = NonNullable<NonNullable<ToolSpec['policy']>['opa']>;

export interface Opa {
  /** Throws a Refusal; the reason of the signal if that aborts. */
  mustAgree(tool: Tool, policy: OpaPolicy, input: object, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const USUAL_MS = 2_000;
const MAX_ANSWER = 64 * 1024;
const MAX_REASON = 500;

interface Answer {
  allow: boolean;
  reason?: string | undefined;
}

export function createOpa({ clock, allowLoopback }: { clock: Clock; allowLoopback: boolean }): Opa {
  const agent = new Agent({
    connect: guardedConnector({ closed: closedTo('administrator', allowLoopback), connectMs: USUAL_MS }),
    maxResponseSize: MAX_ANSWER,
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  const ask = async (url: URL, input: object, signal: AbortSignal): Promise<Answer> => {
    const { statusCode, body } = await agent.request({
      origin: url.origin,
      path: url.pathname,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input }),
      signal,
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Unclear(`it answered with status ${statusCode}`);
    return answerIn(text);
  };

  return {
    mustAgree: async (tool, { url, timeout }, input, signal) => {
      const ms = timeout === undefined ? USUAL_MS : milliseconds(timeout);
      const late = new AbortController();
      const cancel = clock.after(ms, () => late.abort(new Unclear(`it did not answer within ${ms} ms`)));
      try {
        const { allow, reason } = await ask(new URL(url), input, AbortSignal.any([signal, late.signal]));
        if (!allow) throw refused(tool, reason);
      } catch (error) {
        if (error instanceof Refusal) throw error;
        if (signal.aborted) throw signal.reason;
        const unclear = [late.signal.reason, error].find((one) => one instanceof Unclear);
        throw undecided(tool, unclear ? unclear.message : `it cannot be reached${codeOf(error)}`);
      } finally {
        cancel();
      }
    },
    close: () => agent.destroy(),
  };
}

class Unclear extends Error {}

/** `result` is true or false, or an object that says `allow` and may say a `reason`. */
function answerIn(text: string): Answer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Unclear('its answer is not JSON');
  }
  const result = fieldOf(body, 'result');
  if (result === undefined) throw new Unclear('it knows no such decision');
  const allow = typeof result === 'boolean' ? result : fieldOf(result, 'allow');
  const reason = fieldOf(result, 'reason');
  if (typeof allow === 'boolean') return { allow, ...(typeof reason === 'string' && { reason }) };
  throw new Unclear('its answer is neither true nor false, nor has it a field allow that is');
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;

/** Messages of the HTTP client may hold what was sent; its codes do not. */
function codeOf(error: unknown): string {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  const found = [cause?.code, code].find((one): one is string => typeof one === 'string');
  return found === undefined ? '' : ` (${found})`;
}

const refused = ({ metadata }: Tool, reason: string | undefined): Refusal => {
  const said = reason === undefined ? '.' : `: ${reason.slice(0, MAX_REASON)}`;
  const message = `The policy of Tool ${metadata.name} forbids this call${said}`;
  return new Refusal({ reason: 'ToolRefused', rule: 'opa', message });
};

const undecided = ({ metadata }: Tool, why: string): Refusal =>
  new Refusal({
    reason: 'ToolRefused',
    rule: 'opa',
    message: `The policy of Tool ${metadata.name} forbids this call: whoever decides gave no answer.`,
    why: `the Open Policy Agent gave no clear answer: ${why} (spec.policy.opa)`,
  });
