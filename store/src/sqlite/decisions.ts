// What the gateway decided, and why.
import { USUAL_DECISIONS, type Decision, type DecisionFilter } from '../decisions.ts';
import { json } from '../json.ts';
import { decisionOf, type DecisionRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';

export function decisions({ sql, write, read }: Access) {
  return {
    recordDecisions: (all: readonly Decision[]) =>
      write(() => {
        for (const { run, chosen = null, alternatives, ...one } of all) {
          if (run && sql.isForgotten.get(run.uid) !== undefined) continue;
          const step = [run?.uid ?? null, run?.step ?? null, run?.attempt ?? null];
          const what = [one.subject, chosen, one.reason, json(alternatives), one.version];
          sql.recordDecision.run(one.id, one.at, one.kind, one.namespace, one.agent, ...step, one.call, ...what);
        }
      }),
    decisions: (filter: DecisionFilter) =>
      read(() => {
        const { kind = null, subject = null, agent = null, since = null, before = null } = filter;
        const { limit = USUAL_DECISIONS } = filter;
        const [statement, whose] =
          'run' in filter ? [sql.decisionsOfRun, filter.run] : [sql.decisionsOfNamespace, filter.namespace];
        const rows = statement.all(whose, kind, subject, agent, since, before, limit);
        return (rows as unknown as DecisionRow[]).map(decisionOf);
      }),
  } satisfies Partial<Store>;
}
