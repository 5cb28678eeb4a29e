// The journal of calls: what a model or tool has answered a step, so that the step can be done again without asking, and
// paying, a second time.

export interface JournalKey {
  /** UID of the Run. */
  run: string;
  /** Id of the step. */
  step: string;
  attempt: number;
  /** From 1, in the order in which the step makes its calls. 0: the tools that it was offered. */
  call: number;
}

export interface JournalEntry extends JournalKey {
  /** SHA-256 of what was asked, in hexadecimal. */
  hash: string;
  kind: 'model' | 'tool' | 'code';
  /** What was answered: JSON, as whoever recorded it understands it. */
  answer: unknown;
  /** Milliseconds since 1970. */
  at: number;
}

export interface Journal {
  journalEntry(key: JournalKey): Promise<JournalEntry | undefined>;
  /** All calls of a run, or of one attempt of a step, in order. */
  journalOf(run: string, attempt?: Pick<JournalKey, 'step' | 'attempt'>): Promise<JournalEntry[]>;
  /**
   * The first entry under a key counts; `false` if there was one already. Concurrent calls share one commit. Entries end
   * with their run; of one that was forgotten nothing is kept, and nobody will ask.
   */
  recordJournal(entry: JournalEntry): Promise<boolean>;
}
