// What agents remember of their callers. An agent reaches its own conversations alone, whoever's id it names: the token
// says which agent it is.
import {
  CONVERSATIONS_PATH,
  conversationTurn,
  type Conversation,
  type ConversationTurn,
  type conversationVerdict,
} from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Caller } from './access/caller.ts';
import { forbidden, GatewayError, invalidRequest } from './errors.ts';
import type { Clock, MemorySource } from './options.ts';

export type ConversationStore = Pick<Store, 'turns' | 'conversationOf' | 'remember' | 'forgetConversation'>;

/** As the store has it. */
type Said = Pick<ConversationTurn, 'messages' | 'tainted'>;

const MAX_TURN_CHARACTERS = 1024 * 1024;
const MAX_ID = 512;

export function registerConversations(
  api: FastifyInstance,
  { store, memory, clock }: { store: ConversationStore; memory: MemorySource | undefined; clock: Clock },
): void {
  const roomOf = ({ record }: FastifyRequest) => {
    const caller = record.caller as Caller;
    if (caller.step) throw forbidden('Steps of Runs have no memory: leave the step token out.');
    const room = memory?.ofAgent(caller.namespace, caller.agent);
    if (room) return { whose: { namespace: caller.namespace, agent: caller.agent }, room };
    throw forbidden(`The Agent ${caller.agent} has no memory: set spec.memory.`);
  };

  api.get(CONVERSATIONS_PATH, async (http): Promise<Conversation> => {
    const { whose } = roomOf(http);
    const turn = asked(http, 'turn');
    const conversation =
      turn === undefined ? asked(http, 'conversation') : await store.conversationOf({ ...whose, id: turn });
    if (conversation !== undefined) {
      const turns = await store.turns({ ...whose, conversation });
      return { conversation, turns: turns.map(({ messages, ...turn }) => ({ ...turn, ...(messages as Said) })) };
    }
    if (turn === undefined) throw invalidRequest('Say which: ?conversation=<id> or ?turn=<id>.');
    throw new GatewayError(404, 'InvalidInput', 'There is no such turn; it may have been forgotten since.');
  });

  api.post(CONVERSATIONS_PATH, async (http): Promise<z.infer<typeof conversationVerdict>> => {
    const { whose, room } = roomOf(http);
    const { conversation, id, messages, tainted, after } = parse(http.body);
    const turn = { id, at: clock.now(), messages: { messages, tainted } satisfies Said };
    const { verdict } = await store.remember({ ...whose, conversation }, turn, room, after);
    return { verdict };
  });

  api.delete(CONVERSATIONS_PATH, async (http): Promise<{ deleted: boolean }> => {
    const { whose } = roomOf(http);
    const conversation = asked(http, 'conversation');
    if (conversation === undefined) throw invalidRequest('Say which: ?conversation=<id>.');
    return { deleted: await store.forgetConversation({ ...whose, conversation }) };
  });
}

function asked({ query }: FastifyRequest, name: 'conversation' | 'turn'): string | undefined {
  const value = (query as Record<string, unknown>)[name];
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID ? value : undefined;
}

function parse(body: unknown): ConversationTurn {
  const parsed = conversationTurn.safeParse(body);
  if (!parsed.success)
    throw invalidRequest('The body must be {"conversation": …, "id": …, "messages": [{"role": …}, …]}.');
  if (JSON.stringify(parsed.data.messages).length <= MAX_TURN_CHARACTERS) return parsed.data;
  throw new GatewayError(413, 'InvalidInput', `A turn may have at most ${MAX_TURN_CHARACTERS} characters.`);
}
