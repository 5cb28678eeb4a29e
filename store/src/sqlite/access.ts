// How the parts of the store reach the database.
import type { Touch } from './group-commit.ts';
import type { Statements } from './statements.ts';

export interface Access {
  readonly sql: Statements;
  /** Within the next transaction; resolves once that is safe on disk. */
  write: <T>(work: (touch: Touch) => T) => Promise<T>;
  read: <T>(work: () => T) => Promise<T>;
}
