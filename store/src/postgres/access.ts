// How the parts of the store reach the database.
import type { Topic } from '../store.ts';
import type { Database } from './database.ts';

export interface Access {
  readonly db: Database;
  /** Tells others that a topic changed; after the commit. */
  readonly touch: (topic: Topic, key: string) => void;
}
