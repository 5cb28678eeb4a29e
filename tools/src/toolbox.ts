// How tools are reached, whatever they are. Decides nothing: whoever calls has judged the call already.
import { milliseconds, type Tool, type ToolSpec } from '@kadre/crds';
import { a2aExecutor } from './a2a/executor.ts';
import { builtinExecutor } from './builtin/builtin.ts';
import type { Content, ReadSecret, Toolbox, ToolAnswer } from './contract.ts';
import type { Errand, Executor } from './executor.ts';
import { httpExecutor } from './http/endpoint.ts';
import { mcpExecutor } from './mcp/executor.ts';
import { createOutlet, tooLarge } from './net/outlet.ts';
import { openapiExecutor } from './openapi/executor.ts';
import { createRedactor, type Redactor } from './redact.ts';
import { ToolError } from './tool-error.ts';
import type { ToolboxOptions } from './toolbox-options.ts';

const TIMEOUT_MS = 30_000;
/** Whoever runs it ends it in time, and says so. */
const WORKFLOW_GRACE_MS = 5_000;
/** Agents think, and ask others; so do the agents of Workflows. */
const AGENT_MS = 600_000;
/** The timeout of code is the program's own: a sandbox may have to come about first. */
const SANDBOX_MS = 120_000;
const MAX_RESULT_BYTES = 1024 * 1024;

export const toolTimeoutMs = ({ timeout, a2a, workflow }: ToolSpec): number =>
  timeout === undefined ? ((a2a ?? workflow) ? AGENT_MS : TIMEOUT_MS) : milliseconds(timeout);

function graceMs({ builtin, workflow }: ToolSpec): number {
  if (workflow) return WORKFLOW_GRACE_MS;
  return builtin?.code ? SANDBOX_MS : 0;
}

export function createToolbox({
  allowLoopback = false,
  clock = Date,
  mcp = {},
  home = {},
  clusterDomain,
}: ToolboxOptions = {}): Toolbox {
  const outlet = createOutlet({ allowLoopback });
  const executors: Partial<Record<keyof ToolSpec | 'knowledge', Executor>> = {
    ...home.kinds,
    http: httpExecutor(outlet, clock),
    openapi: openapiExecutor(outlet, clock),
    builtin: builtinExecutor({ outlet, clock, allowLoopback, home: home.builtins ?? {} }),
    a2a: a2aExecutor(outlet, clock),
    mcp: mcpExecutor({ outlet, clock, clusterDomain, ...mcp }),
  };
  const executorOf = ({ spec }: { spec: ToolSpec & { knowledge?: unknown } }): Executor => {
    const kind = (Object.keys(executors) as (keyof typeof executors)[]).find((one) => spec[one]);
    const executor = kind && executors[kind];
    if (!executor) throw new ToolError('misconfigured', 'The Tool is of a kind that is not known here.');
    return executor;
  };
  return {
    describe: (tool, secret, signal) => bounded(tool, secret, signal, (errand) => executorOf(tool).describe(errand)),
    call: (tool, secret, request) =>
      bounded(tool, secret, request.signal, async (errand, redact) => {
        const answer = await executorOf(tool).call(errand, { ...request, signal: errand.signal });
        return sized(redactAnswer(answer, redact), errand.maxBytes);
      }),
    close: async () => {
      await Promise.all(Object.values(executors).map(async (executor) => executor.close?.()));
      await outlet.close();
    },
  };
}

async function bounded<T>(
  tool: Tool,
  secret: ReadSecret,
  signal: AbortSignal,
  work: (errand: Errand, redact: Redactor) => Promise<T>,
): Promise<T> {
  const timeoutMs = toolTimeoutMs(tool.spec) + graceMs(tool.spec);
  const deadline = AbortSignal.timeout(timeoutMs);
  const redactor = createRedactor();
  const errand: Errand = {
    tool,
    secret: async (name, key) => redactor.remember(await readSecret(secret, name, key)),
    signal: AbortSignal.any([signal, deadline]),
    maxBytes: tool.spec.maxResultBytes ?? MAX_RESULT_BYTES,
  };
  try {
    errand.signal.throwIfAborted();
    return await Promise.race([ended(errand.signal), work(errand, redactor)]);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (deadline.aborted && !(error instanceof ToolError)) throw late(timeoutMs);
    throw toToolError(error, redactor);
  }
}

const late = (timeoutMs: number): ToolError =>
  new ToolError('timeout', `There was no answer within ${timeoutMs / 1000} s.`, { retry: true, sent: true });

async function readSecret(secret: ReadSecret, name: string, key: string): Promise<string> {
  try {
    return await secret(name, key);
  } catch (error) {
    if (error instanceof ToolError) throw error;
    throw new ToolError('misconfigured', `The Secret ${name} cannot be read now.`, { retry: true, cause: error });
  }
}

/** Whatever work overlooks the signal, nobody waits for it. */
function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

function toToolError(error: unknown, redact: Redactor): ToolError {
  if (!(error instanceof ToolError)) {
    return new ToolError('malformed', 'The answer makes no sense.', { sent: true, cause: error });
  }
  const { fault, retry, sent, retryAfterMs, cause } = error;
  const message = redact.text(error.message);
  return new ToolError(fault, message, { retry, sent, cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

/** A server may repeat the secret that it was sent; no model gets to read it. */
function redactAnswer(answer: ToolAnswer, redact: Redactor): ToolAnswer {
  const content = answer.content.map((part) =>
    part.type === 'text' ? { ...part, text: redact.text(part.text) } : part,
  );
  return {
    content,
    isError: answer.isError,
    ...(answer.citations && { citations: answer.citations }),
    ...(answer.structured === undefined ? {} : { structured: redact.json(answer.structured) }),
  };
}

function sized(answer: ToolAnswer, maxBytes: number): ToolAnswer {
  const bytes = answer.content.reduce((sum, part) => sum + bytesOf(part), 0);
  if (bytes > maxBytes) throw tooLarge(maxBytes);
  return answer;
}

const bytesOf = (part: Content): number =>
  part.type === 'text' ? Buffer.byteLength(part.text) : Buffer.byteLength(part.data, 'base64');
