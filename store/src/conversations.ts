// What agents remember of conversations outside of runs: who said what, turn by turn.

export interface ConversationKey {
  namespace: string;
  agent: string;
  /** Known to those who take part in it. */
  conversation: string;
}

/** What a caller said, and what the agent answered: one piece, so that two that come at once cannot mix. */
export interface NewTurn {
  /** Idempotency key within the conversation. */
  id: string;
  /** Milliseconds since 1970. */
  at: number;
  /** JSON. */
  messages: unknown;
}

export interface Turn extends NewTurn {
  /** From 1 on, without gaps. What is before the first that is there was left out. */
  seq: number;
}

export interface Room {
  turns: number;
  /** Of the messages' JSON. */
  characters: number;
}

/**
 * `known`: a turn of that id was there before, and is kept as it was. `stale`: the conversation does not end where the
 * writer believes.
 */
export type Remembered = { verdict: 'new' | 'known'; seq: number } | { verdict: 'stale' };

export interface Conversations {
  /** Oldest first; none of an unknown conversation. */
  turns(key: ConversationKey): Promise<Turn[]>;
  /** The conversation that has a turn of that id. */
  conversationOf(turn: { namespace: string; agent: string; id: string }): Promise<string | undefined>;
  /**
   * Appends a turn, in one transaction with leaving out the oldest ones until the rest fits; the new one stays. Idempotent
   * by its id. `after`: the turn must follow this one, 0 for none.
   */
  remember(key: ConversationKey, turn: NewTurn, room: Room, after?: number): Promise<Remembered>;
  /** `false` if there was none. */
  forgetConversation(key: ConversationKey): Promise<boolean>;
  /** Forgets turns that are older. */
  pruneConversations(before: number): Promise<void>;
}
