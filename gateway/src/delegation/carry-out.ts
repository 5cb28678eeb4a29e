// Asks another agent, as the engine asks agents: with one message of A2A under one id, however often it is sent, so that a
// task that is still at work is joined and none is begun twice.
import {
  A2AConnection,
  followTask,
  LET_GO,
  messageParts,
  type Accepted,
  type MessagePart,
  type TaskOutcome,
} from '@kadre/a2a';
import { a2aMetadata, type Failure, type Tool, type ToolResult } from '@kadre/crds';
import { BoundedMap, delegatedClaims, mintStepToken, type StepClaims, type Store } from '@kadre/store';
import { ToolError, type ToolCallRequest } from '@kadre/tools';
import { Agent } from 'undici';
import { unavailable } from '../errors.ts';
import { fromJournal } from '../journal/entries.ts';
import { stranger } from '../journal/taint.ts';
import type { ToolJournal } from '../journal/tool-journal.ts';
import type { AgentSource, Clock } from '../options.ts';
import type { ToolRequest } from '../tools/request.ts';
import { depthOf } from './depth.ts';

export type CarryOut = (sent: ToolCallRequest, request: ToolRequest, tool: Tool) => Promise<ToolResult>;

export interface Delegations {
  /** Throws a Refusal, a ToolError, a GatewayError, or the reason of the signal. */
  carryOut: CarryOut;
  /** Stops what was asked with that call before. */
  cancel: CarryOut;
  close(): Promise<void>;
}

interface DelegationOptions {
  source: AgentSource;
  store: Pick<Store, 'secret' | 'journalOf'>;
  journal: Pick<ToolJournal, 'tainted'>;
  clock: Clock;
}

const CONNECT_MS = 5_000;
/** As those of engines. */
const AGENT_RESPONSE_MS = 15_000;
const STREAM_SILENCE_MS = 60_000;
const AGENT_PATIENCE_MS = 30_000;
const STOP_GRACE_MS = 5_000;
/** Of a token whose step has none that ends. */
const TOKEN_LIFE_MS = 24 * 3_600_000;
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Tasks of steps whose callers hung up, and may say that nobody wants them any more. */
const MOST_REMEMBERED = 10_000;

export function createDelegations(options: DelegationOptions): Delegations {
  const { source, clock } = options;
  const dispatcher = new Agent({ connect: { timeout: CONNECT_MS }, connections: 256, pipelining: 1 });
  const times = { agentResponse: AGENT_RESPONSE_MS, streamSilence: STREAM_SILENCE_MS };
  const connection = new A2AConnection({ dispatcher, ...times });
  const closing = new AbortController();
  const atWork = new BoundedMap<string, Accepted>(MOST_REMEMBERED);

  const ask = async (
    sent: ToolCallRequest,
    message: Message,
    { metadata: { namespace = '', name } }: Tool,
    ends: { stop: AbortSignal; detach: AbortSignal },
  ): Promise<TaskOutcome> => {
    const id = sent.idempotencyKey;
    const place = () => {
      const { found, serving, url } = source.resolve(namespace, name);
      return { found, ...(serving && url !== undefined && { url }) };
    };
    const order = { messageId: id, agent: name, ...message, headers: { ...sent.headers }, place };
    const outcome = await followTask(order, atWork.get(id), {
      ...{ connection, clock: { now: () => clock.now(), at: (time, call) => clock.after(time - clock.now(), call) } },
      ...{ agentPatience: AGENT_PATIENCE_MS, stopGrace: STOP_GRACE_MS },
      onAccepted: (accepted) => atWork.set(id, accepted),
      ...ends,
    });
    if (!ends.detach.aborted) atWork.delete(id);
    return outcome;
  };

  return {
    carryOut: async (sent, request, tool) => {
      const depth = depthOf(request);
      const claims = await claimsOf(options, request, tool.metadata.name);
      const message = await messageOf(options, sent, request, claims, depth);
      // A step that hangs up may have lost its pod and ask again; whoever else does wants no answer any more.
      const ends = claims
        ? { stop: new AbortController().signal, detach: sent.signal }
        : { stop: sent.signal, detach: closing.signal };
      const outcome = await ask(sent, message, tool, ends);
      if (sent.signal.aborted) throw sent.signal.reason;
      return resultOf(tool, outcome, (await isTrusted(options, tool, claims)) ? 'trusted' : 'untrusted');
    },
    cancel: async (sent, request, tool) => {
      const claims = await claimsOf(options, request, tool.metadata.name);
      const message = await messageOf(options, sent, request, claims, depthOf(request));
      await ask(sent, message, tool, { stop: AbortSignal.abort(), detach: sent.signal });
      return { content: [], isError: false, trust: 'trusted' };
    },
    close: () => {
      closing.abort(LET_GO);
      return dispatcher.destroy();
    },
  };
}

interface Message {
  parts: MessagePart[];
  metadata: () => Record<string, unknown>;
}

/** Of a step: the token that the other agent shows, so that what it does counts for the same attempt of the same run. */
async function claimsOf({ journal }: DelegationOptions, request: ToolRequest, agent: string) {
  const { caller, key, asked } = request;
  if (!caller.step || !key) return undefined;
  return delegatedClaims(caller.step, key.call, agent, await journal.tainted(key, asked));
}

async function messageOf(
  { store, clock }: DelegationOptions,
  { args }: ToolCallRequest,
  { asked, caller }: ToolRequest,
  claims: StepClaims | undefined,
  depth: number,
): Promise<Message> {
  const prompt = String(args['prompt']);
  const parts = messageParts({
    prompt: asked.conversation === undefined ? prompt : `${asked.conversation}\n\n${prompt}`,
    ...('input' in args && { input: args['input'] }),
  });
  if (!claims) {
    const tainted = asked.tainted === true && { [a2aMetadata.tainted]: true };
    return { parts, metadata: () => ({ [a2aMetadata.depth]: depth + 1, ...tainted }) };
  }
  const secret = await store.secret('step-token').catch((cause: unknown) => {
    throw unavailable('The secret of step tokens cannot be read just now.', '1', cause);
  });
  const until = (): number => caller.step?.expiresAt ?? clock.now() + TOKEN_LIFE_MS;
  return { parts, metadata: () => ({ [a2aMetadata.stepToken]: mintStepToken(secret, claims, until()) }) };
}

/**
 * Whether no words of strangers can be in the answer. That is known of Kadre's own runtime in a step alone, which has no way
 * to anybody but through the journal; an image of somebody else's may not tell for which step it reads.
 */
async function isTrusted({ source, store }: DelegationOptions, { metadata }: Tool, claims: StepClaims | undefined) {
  if (!claims || claims.tainted) return false;
  const spec = source.spec(metadata.namespace ?? '', metadata.name);
  if (!spec || spec.runtime?.image !== undefined) return false;
  const { run, step, attempt } = claims;
  const entries = await fromJournal(store.journalOf(run, { step, attempt }));
  return entries.some(({ kind }) => kind === 'model') && !entries.some(stranger);
}

function resultOf({ metadata: { name } }: Tool, outcome: TaskOutcome, trust: ToolResult['trust']): ToolResult {
  if (outcome === 'stopped') return failed('AgentFailed', `Agent ${name} was stopped before it had an answer.`, trust);
  if ('failure' in outcome) return failure(name, outcome.failure, trust);
  const { output, bytes, citations: cited } = outcome;
  if (bytes > MAX_ANSWER_BYTES) {
    throw new ToolError(
      'tooLarge',
      `Its answer has ${bytes} bytes, and ${MAX_ANSWER_BYTES} are allowed: ask for less.`,
    );
  }
  const isText = typeof output === 'string';
  const text = isText ? output : JSON.stringify(output);
  return {
    content: [{ type: 'text', text }],
    isError: false,
    trust,
    ...(cited && { cited }),
    ...(!isText && { structured: output }),
  };
}

function failure(name: string, { reason, message }: Failure, trust: ToolResult['trust']): ToolResult {
  // So that an agent that is away is left alone for a while.
  if (reason === 'AgentUnavailable') throw new ToolError('unreachable', message, { retry: true });
  return failed(reason, `Agent ${name} failed (${reason}): ${message}`, trust);
}

const failed = (reason: Failure['reason'], text: string, trust: ToolResult['trust']): ToolResult => ({
  content: [{ type: 'text', text }],
  isError: true,
  reason,
  trust,
});
