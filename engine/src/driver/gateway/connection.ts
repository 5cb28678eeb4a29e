// Questions to the gateway on behalf of a step. What is asked again under its number is answered as before, so that a question
// whose answer got lost may be asked again.
import { CALL_HEADER, failureReasons, STEP_HEADER, type Failure, type FailureReason } from '@kadre/crds';
import { errors, request, type Dispatcher } from 'undici';

/** The gateway cannot answer just now: worth another try. */
export class GatewayAway extends Error {
  override name = 'GatewayAway';
}

export interface Question {
  path: string;
  /** JSON. */
  body: string;
  stepToken: string;
  headers: Record<string, string>;
  /** Milliseconds of silence after which the gateway counts as away. */
  patience: number;
  signal: AbortSignal;
}

export type Reply = { answer: unknown } | { pending: unknown } | { failure: Failure };

/** The number of the one call that such a step makes in an attempt. */
export const OWN_CALL = '1';
/** An image in base64, or files, and what is around them; beyond it no output is taken either. */
const MAX_BYTES = 24 * 1024 * 1024;
const MAX_MESSAGE_CHARACTERS = 4096;

export class GatewayConnection {
  readonly #dispatcher: Dispatcher;
  readonly #url: () => Promise<string>;

  /** `url`: of the gateway; may start it. */
  constructor(dispatcher: Dispatcher, url: () => Promise<string>) {
    this.#dispatcher = dispatcher;
    this.#url = url;
  }

  /** Throws {@link GatewayAway}, or whatever the signal says. */
  async ask(question: Question): Promise<Reply> {
    const { statusCode, headers, text } = await this.#send(question);
    const said = parsed(text);
    if (statusCode === 200) return said === undefined ? { failure: nonsense } : { answer: said };
    if (statusCode === 202) return { pending: said };
    const failure = failureOf(said, statusCode);
    const passes = statusCode >= 500 || statusCode === 429 || statusCode === 408;
    if (passes && headers['x-should-retry'] !== 'false') throw new GatewayAway(failure.message);
    return { failure };
  }

  async #send({ path, body, stepToken, headers, patience, signal }: Question) {
    try {
      const url = `${(await this.#url()).replace(/\/+$/, '')}${path}`;
      const response = await request(url, {
        method: 'POST',
        dispatcher: this.#dispatcher,
        headers: {
          ...headers,
          [STEP_HEADER]: stepToken,
          [CALL_HEADER]: OWN_CALL,
          'content-type': 'application/json',
          accept: 'application/json',
        },
        body,
        signal,
        headersTimeout: patience,
        bodyTimeout: patience,
      });
      return { statusCode: response.statusCode, headers: response.headers, text: await readText(response) };
    } catch (cause) {
      if (signal.aborted) throw cause;
      const late = cause instanceof errors.HeadersTimeoutError;
      const message = late ? 'it did not answer' : cause instanceof Error ? cause.message : String(cause);
      throw new GatewayAway(`the gateway cannot be reached: ${message}`, { cause });
    }
  }
}

async function readText({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BYTES) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

const nonsense: Failure = {
  reason: 'InternalError',
  message: 'the gateway answered with what is no answer, or too much',
};

function failureOf(said: unknown, status: number): Failure {
  const { code, message } = (said as { error?: { code?: unknown; message?: unknown } } | undefined)?.error ?? {};
  return {
    reason: reasonOf(code),
    message:
      typeof message === 'string' ? message.slice(0, MAX_MESSAGE_CHARACTERS) : `the gateway answered HTTP ${status}`,
  };
}

/** The gateway says ModelFailed of each request that it cannot take, whatever that asks for. */
function reasonOf(code: unknown): FailureReason {
  if (code === 'ModelFailed') return 'InvalidInput';
  return failureReasons.find((reason) => reason === code) ?? 'InternalError';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
