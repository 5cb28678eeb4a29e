// Of several who say the same thing, one is the first, and is told so.
import type { Answer, Database, Value } from './database.ts';
import type { StatementName } from './statements.ts';

/**
 * Whether this call was the one that wrote. If the answer to an earlier attempt was lost, what is there now may be its own
 * word: `same` finds out whether it is.
 */
export async function isFirst(
  db: Database,
  { count, unsure }: Answer<object>,
  same: StatementName,
  values: Value[],
): Promise<boolean> {
  return count > 0 || (unsure && (await db.read(same, values)).length > 0);
}
