// One step in a Job: fetch what is asked, run the agent once, report how it ended.
import {
  STEP_HEADER,
  STEP_PATH,
  STEP_RESULT_PATH,
  stepPayload,
  type AgentConfig,
  type StepOutcome,
  type StepPayload,
} from '@kadre/crds';
import type { Logger } from 'pino';
import { createAgent, userMessage } from '../agent/agent.ts';
import { createGatewayClient } from '../agent/gateway-client.ts';
import { abortableSleep, stepWork } from '../agent/patience.ts';
import type { TokenSource } from '../credentials.ts';
import { asFailure } from '../failure.ts';

export interface StepConfig {
  agent: AgentConfig;
  /** Base URL of the gateway, without a slash at its end. */
  gatewayUrl: string;
  stepToken: string;
}

export interface StepDeps {
  token: TokenSource;
  logger: Logger;
  /** Aborted when the pod is told to stop. */
  signal: AbortSignal;
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** `unreported`: the gateway does not know how the step ended, so the Job itself must fail. */
export type StepEnd = 'reported' | 'unreported';

const REQUEST_TIMEOUT_MS = 30_000;
const MAX_FAILURE_MESSAGE = 8_192;

/**
 * Reports failures of the agent as outcomes. When the pod is told to stop before there is an outcome, nothing is
 * reported: the first report is final, and whether a new pod shall try again is for the Job to say.
 */
export async function runStep(config: StepConfig, deps: StepDeps): Promise<StepEnd> {
  const { logger, signal } = deps;
  const payload = await fetchPayload(config, deps);
  if (payload === undefined) return 'unreported';
  logger.info({ run: payload.run, step: payload.step, attempt: payload.attempt }, 'step started');
  const outcome = await carryOut(config, deps, payload);
  if (signal.aborted && 'failure' in outcome) {
    logger.warn('told to stop before the agent had an answer; nothing is reported');
    return 'unreported';
  }
  // What has been paid for is reported, even if the pod is being stopped meanwhile.
  const reported = await exchange(config, { ...deps, signal: new AbortController().signal }, STEP_RESULT_PATH, outcome);
  if (reported === undefined) return 'unreported';
  logger.info('failure' in outcome ? { reason: outcome.failure.reason } : {}, 'step reported');
  return 'reported';
}

async function fetchPayload(config: StepConfig, deps: StepDeps): Promise<StepPayload | undefined> {
  const answer = await exchange(config, deps, STEP_PATH);
  if (answer === undefined) return undefined;
  const payload = stepPayload.safeParse(answer.json);
  if (payload.success) return payload.data;
  deps.logger.error('the gateway sent a step that this runtime does not understand; are both of the same version?');
  return undefined;
}

async function carryOut(
  { agent: config, gatewayUrl, stepToken }: StepConfig,
  { token, signal, logger }: StepDeps,
  payload: StepPayload,
): Promise<StepOutcome> {
  const gateway = createGatewayClient({ gatewayUrl, token });
  try {
    const agent = await createAgent(config, {
      gateway,
      onCompaction: (compaction) => logger.info(compaction, 'left results of tools out of a long conversation'),
    });
    const { output, citations } = await agent.answer({
      messages: [userMessage(payload.prompt, payload.input)],
      signal,
      stepToken,
      traceparent: payload.traceparent,
    });
    return { output, ...(citations && { citations }) };
  } catch (error) {
    const { reason, message, cause } = asFailure(error);
    if (reason === 'InternalError') logger.error({ err: cause }, 'unexpected error');
    return { failure: { reason, message: message.slice(0, MAX_FAILURE_MESSAGE) } };
  } finally {
    await gateway.close();
  }
}

/** GET, or POST with a body, until it works; undefined when it cannot. */
async function exchange(
  config: StepConfig,
  deps: StepDeps,
  path: string,
  body?: StepOutcome,
): Promise<{ json: unknown } | undefined> {
  const sleep = deps.sleep ?? abortableSleep;
  for (const wait of [...stepWork, undefined]) {
    const { problem, final, ...answer } = await tryExchange(config, deps, path, body);
    if (problem === undefined) return { json: answer.json };
    deps.logger.warn({ path, problem }, 'the gateway did not take the request');
    if (final || wait === undefined || deps.signal.aborted) return undefined;
    await sleep(wait, deps.signal).catch(() => undefined);
  }
  return undefined;
}

async function tryExchange(
  config: StepConfig,
  { token, signal }: StepDeps,
  path: string,
  body?: StepOutcome,
): Promise<{ json?: unknown; problem?: string; final?: boolean }> {
  const { request } = await import('../agent/http-client.ts');
  try {
    const response = await request(`${config.gatewayUrl}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${await token()}`,
        [STEP_HEADER]: config.stepToken,
        'content-type': 'application/json',
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.body.text();
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode < 300)
      return { json: body === undefined ? (JSON.parse(text) as unknown) : undefined };
    // 401 may mend itself: the kubelet may be about to put a new token in place.
    const mayChange = statusCode >= 500 || statusCode === 401 || statusCode === 408 || statusCode === 429;
    return { problem: `status ${statusCode}`, final: !mayChange };
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException;
    return { problem: code ?? name };
  }
}
