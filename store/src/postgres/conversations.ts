// What agents remember of conversations outside of runs.
import type { ConversationKey, NewTurn, Remembered, Room } from '../conversations.ts';
import { json } from '../json.ts';
import { turnOf, type TurnRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';

export function conversations({ db }: Access) {
  return {
    turns: async ({ namespace, agent, conversation }: ConversationKey) =>
      (await db.read<TurnRow>('turns', [namespace, agent, conversation])).map(turnOf),
    conversationOf: async ({ namespace, agent, id }: { namespace: string; agent: string; id: string }) => {
      const [row] = await db.read<{ conversation: string }>('conversationOf', [namespace, agent, id]);
      return row?.conversation;
    },
    remember: async (key: ConversationKey, { id, at, messages }: NewTurn, room: Room, after?: number) => {
      const text = json(messages);
      const whose = [key.namespace, key.agent, key.conversation];
      const turn = [id, at, text.length, text];
      const { rows } = await db.write<Remembered>('rememberTurn', [
        ...whose,
        ...turn,
        room.turns,
        room.characters,
        after ?? null,
        db.nextCall(),
      ]);
      return rows[0]?.verdict === 'stale' ? { verdict: 'stale' } : (rows[0] as Remembered);
    },
    forgetConversation: async ({ namespace, agent, conversation }: ConversationKey) => {
      const { count, unsure } = await db.write('forgetConversation', [namespace, agent, conversation]);
      return count > 0 || unsure;
    },
    pruneConversations: async (before: number) => {
      await db.write('pruneConversations', [before]);
    },
  } satisfies Partial<Store>;
}
