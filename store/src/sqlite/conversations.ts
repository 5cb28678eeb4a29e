// What agents remember of conversations outside of runs.
import type { ConversationKey, NewTurn, Remembered, Room } from '../conversations.ts';
import { json } from '../json.ts';
import { turnOf, type TurnRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';

export function conversations({ sql, write, read }: Access) {
  const all = ({ namespace, agent, conversation }: ConversationKey): TurnRow[] =>
    sql.turns.all(namespace, agent, conversation) as unknown as TurnRow[];
  return {
    turns: (key: ConversationKey) => read(() => all(key).map(turnOf)),
    conversationOf: ({ namespace, agent, id }: { namespace: string; agent: string; id: string }) =>
      read(() => (sql.conversationOf.get(namespace, agent, id) as { conversation: string } | undefined)?.conversation),
    remember: (key: ConversationKey, { id, at, messages }: NewTurn, room: Room, after?: number) =>
      write((): Remembered => {
        const whose = [key.namespace, key.agent, key.conversation] as const;
        const known = sql.turnSeq.get(...whose, id) as { seq: number } | undefined;
        if (known) return { verdict: 'known', seq: known.seq };
        const { last } = sql.lastTurn.get(...whose) as { last: number };
        if (after !== undefined && after !== last) return { verdict: 'stale' };
        const text = json(messages);
        sql.insertTurn.run(...whose, last + 1, id, at, text.length, text);
        sql.leaveOutTurns.run(...whose, room.turns, room.characters);
        return { verdict: 'new', seq: last + 1 };
      }),
    forgetConversation: ({ namespace, agent, conversation }: ConversationKey) =>
      write(() => sql.forgetConversation.run(namespace, agent, conversation).changes > 0),
    pruneConversations: (before: number) =>
      write(() => {
        sql.pruneConversations.run(before);
      }),
  } satisfies Partial<Store>;
}
