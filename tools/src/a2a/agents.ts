// Asks agents of others with a prompt, and stays with their tasks to the end.
import { A2AConnection, followTask, LET_GO, messageParts, systemClock, type TaskOutcome } from '@kadre/a2a';
import type { Failure, Tool } from '@kadre/crds';
import type { Described, ToolAnswer, ToolCallRequest } from '../contract.ts';
import { failure, type Clock, type Errand } from '../executor.ts';
import type { Outlet } from '../net/outlet.ts';
import { ToolError } from '../tool-error.ts';
import { headersOf, readCard, specOf, type Card } from './card.ts';
import { agentInputSchema } from './input.ts';

export interface RemoteAgents {
  describe(errand: Errand): Promise<Described>;
  call(errand: Errand, request: ToolCallRequest): Promise<ToolAnswer>;
  /** Lets go of tasks that are still to be called off. */
  close(): void;
}

/** A card is good for so long. */
const FRESH_MS = 300_000;
const MOST_CARDS = 256;
const PATIENCE_MS = 10_000;
const RESPONSE_MS = 30_000;
const SILENCE_MS = 60_000;
const STOP_GRACE_MS = 5_000;

export function createRemoteAgents(outlet: Outlet, clock: Clock): RemoteAgents {
  const closing = new AbortController();
  const cards = new Map<string, { card: Card; at: number }>();

  const cardOf = async (errand: Errand): Promise<Card> => {
    const { uid, generation } = errand.tool.metadata;
    const key = `${uid}/${generation}`;
    const known = cards.get(key);
    if (known && clock.now() - known.at < FRESH_MS) return known.card;
    const card = await readCard(outlet, errand);
    cards.delete(key);
    cards.set(key, { card, at: clock.now() });
    if (cards.size > MOST_CARDS) cards.delete(cards.keys().next().value as string);
    return card;
  };

  return {
    describe: async (errand) => {
      const card = await readCard(outlet, errand);
      const description = errand.tool.spec.description ?? about(card);
      return {
        operations: [{ description, inputSchema: agentInputSchema }],
        server: `${card.name} ${card.version}`.trim(),
      };
    },
    call: async (errand, request) => {
      const card = await cardOf(errand);
      const headers = await headersOf(specOf(errand.tool.spec), errand);
      const dispatcher = outlet.agents.administrator;
      const times = { agentResponse: RESPONSE_MS, streamSilence: SILENCE_MS };
      const connection = new A2AConnection({ dispatcher, path: '', headers, ...times });
      return answerOf(
        await ask(errand.tool, card, connection, request, { stop: errand.signal, detach: closing.signal }),
      );
    },
    close: () => closing.abort(LET_GO),
  };
}

function ask(
  { metadata }: Tool,
  { url, streams }: Card,
  connection: A2AConnection,
  { args, idempotencyKey, headers }: ToolCallRequest,
  ends: { stop: AbortSignal; detach: AbortSignal },
): Promise<TaskOutcome> {
  const parts = messageParts({ prompt: String(args['prompt']), ...('input' in args && { input: args['input'] }) });
  const order = {
    ...{ messageId: idempotencyKey, agent: metadata.name, parts, headers: { ...headers } },
    metadata: () => ({}),
    place: () => ({ found: true, url }),
  };
  return followTask(order, undefined, {
    ...{ connection, clock: systemClock, agentPatience: PATIENCE_MS, stopGrace: STOP_GRACE_MS },
    ...{ replicas: false, streams, onAccepted: () => undefined, ...ends },
  });
}

function answerOf(outcome: TaskOutcome): ToolAnswer {
  if (outcome === 'stopped') return failure('It was stopped before it had an answer.');
  if ('failure' in outcome) return failed(outcome.failure);
  const { output } = outcome;
  if (typeof output === 'string') return { content: [{ type: 'text', text: output }], isError: false };
  return { content: [{ type: 'text', text: JSON.stringify(output) }], structured: output, isError: false };
}

function failed({ reason, message }: Failure): ToolAnswer {
  const sent = { sent: true };
  if (reason === 'AgentUnavailable')
    throw new ToolError('unreachable', `It cannot be reached: ${message}`, { retry: true, ...sent });
  if (reason === 'Unauthorized') throw new ToolError('unauthorized', 'It refused access.', sent);
  if (reason === 'RateLimited') throw new ToolError('rateLimited', 'It asks to slow down.', sent);
  return failure(`It failed: ${message}`);
}

/** What it says of itself, and of what it can do. */
function about({ name, description, skills }: Card): string {
  const able = skills.map((skill) => `${skill.name}: ${skill.description}`);
  return [`Asks the agent ${name}. ${description}`.trim(), ...able].join('\n');
}
