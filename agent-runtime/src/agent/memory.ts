// What the agent remembers of its callers. The gateway keeps it: this pod may end at any time, and others answer as well.
import {
  CONVERSATIONS_PATH,
  conversation as conversationAnswer,
  conversationVerdict,
  type Conversation,
  type ConversationTurn,
} from '@kadre/crds';
import { randomUUID } from 'node:crypto';
import { AgentFailure } from '../failure.ts';
import type { ChatMessage } from './chat.ts';
import { parseJson, type Errand, type GatewayClient } from './gateway-client.ts';

/** Where an answer belongs. */
export type Place = {
  /** Of the turn: told again under it, it is answered as before. */
  id: string;
  /** The conversation is gone on with, but this turn is not kept. */
  transient?: boolean;
} & (
  | { conversation: string }
  /** Goes on after this turn; from there a conversation of its own begins if others went on before. */
  | { follows: string }
);

export interface Recalled {
  /** The conversation up to the place. */
  messages: ChatMessage[];
  /** The turn itself, if it was there before. */
  before: ChatMessage[] | undefined;
  /** Whether words of strangers may be in it. */
  tainted: boolean;
  /** Keeps the turn. Throws {@link AgentFailure}. */
  remember(messages: ChatMessage[], tainted: boolean): Promise<void>;
}

export interface Memory {
  /** Throws {@link AgentFailure}, with status 404 if there is no turn to follow. */
  recall(errand: Errand, place: Place): Promise<Recalled>;
  /** The last turn that was told under this id. Throws {@link AgentFailure}, with status 404 if there is none. */
  turn(errand: Errand, id: string): Promise<Conversation['turns'][number]>;
  /** `false` if there was none. Throws {@link AgentFailure}. */
  forget(errand: Errand, conversation: string): Promise<boolean>;
}

/** Nobody can guess one. */
export const newId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '')}`;

/** @param characters how much of one turn is kept, its end in any case */
export function createMemory(gateway: GatewayClient, characters: number): Memory {
  const ask = async (errand: Errand, path: string, more: { method?: 'DELETE'; body?: string } = {}): Promise<unknown> =>
    parseJson(await gateway.text(errand, { path, accept: 'application/json', otherwise: 'ModelFailed', ...more }));
  const read = async (errand: Errand, query: Record<string, string>): Promise<Conversation> => {
    const path = `${CONVERSATIONS_PATH}?${new URLSearchParams(query).toString()}`;
    const parsed = conversationAnswer.safeParse(await ask(errand, path));
    if (parsed.success) return parsed.data;
    throw new AgentFailure('ModelFailed', 'The gateway sent something that is no conversation.');
  };
  const append = async (errand: Errand, turn: ConversationTurn): Promise<string> => {
    const body = JSON.stringify({ ...turn, messages: fitting(turn.messages, characters) });
    const parsed = conversationVerdict.safeParse(await ask(errand, CONVERSATIONS_PATH, { body }));
    if (parsed.success) return parsed.data.verdict;
    throw new AgentFailure('ModelFailed', 'The gateway does not say whether it keeps the conversation.');
  };

  const turnOf = async (errand: Errand, id: string) => {
    const { turns, ...rest } = await read(errand, { turn: id });
    const index = turns.findIndex((turn) => turn.id === id);
    const turn = turns[index];
    if (!turn) throw new AgentFailure('InvalidInput', 'There is no such turn.', { status: 404 });
    return { ...rest, turn, turns: turns.slice(0, index + 1) };
  };

  const inConversation = async (errand: Errand, id: string, conversation: string): Promise<Recalled> => {
    const { turns } = await read(errand, { conversation });
    const index = turns.findIndex((turn) => turn.id === id);
    const earlier = index < 0 ? turns : turns.slice(0, index);
    return {
      messages: saidIn(earlier),
      tainted: earlier.some(({ tainted }) => tainted),
      before: turns[index]?.messages,
      remember: async (messages, tainted) => {
        await append(errand, { conversation, id, messages, tainted });
      },
    };
  };

  const afterTurn = async (errand: Errand, id: string, follows: string): Promise<Recalled> => {
    const { conversation, turns, turn } = await turnOf(errand, follows);
    const messages = saidIn(turns);
    return {
      messages,
      tainted: turns.some(({ tainted }) => tainted),
      before: undefined,
      remember: async (said, tainted) => {
        const verdict = await append(errand, { conversation, id, messages: said, tainted, after: turn.seq });
        if (verdict !== 'stale') return;
        // Somebody has gone on from there already, and that stays as it is.
        await append(errand, { conversation: newId('conv'), id, messages: [...messages, ...said], tainted });
      },
    };
  };

  return {
    recall: (errand, place) =>
      'follows' in place
        ? afterTurn(errand, place.id, place.follows)
        : inConversation(errand, place.id, place.conversation),
    turn: async (errand, id) => (await turnOf(errand, id)).turn,
    forget: async (errand, conversation) => {
      const path = `${CONVERSATIONS_PATH}?${new URLSearchParams({ conversation }).toString()}`;
      const answer = (await ask(errand, path, { method: 'DELETE' })) as { deleted?: boolean } | undefined;
      return answer?.deleted === true;
    },
  };
}

/** The last two, and of those before as many as there is room for. */
function fitting(messages: ChatMessage[], characters: number): ChatMessage[] {
  let left = characters;
  const tooMuch = messages.findLastIndex((message, index) => {
    left -= JSON.stringify(message).length + 1;
    return left < 0 && index < messages.length - 2;
  });
  return messages.slice(tooMuch + 1);
}

/** Results whose calls were left out with the oldest turns are left out, too: no model takes them. */
function saidIn(turns: Conversation['turns']): ChatMessage[] {
  const all = turns.flatMap(({ messages }) => messages);
  return all.slice(
    Math.max(
      0,
      all.findIndex(({ role }) => role !== 'tool'),
    ),
  );
}
