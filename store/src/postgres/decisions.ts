// What the gateway decided, and why.
import { USUAL_DECISIONS, type Decision, type DecisionFilter } from '../decisions.ts';
import { json } from '../json.ts';
import { decisionOf, type DecisionRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';
import { plain, type Batches } from './batches.ts';

export function decisions({ db }: Access, batches: Batches) {
  return {
    recordDecisions: async (all: readonly Decision[]) => {
      await Promise.all(all.map((one) => batches.write(one.id, itemOf(one))));
    },
    decisions: async (filter: DecisionFilter) => {
      const { kind = null, subject = null, agent = null, since = null, before = null } = filter;
      const { limit = USUAL_DECISIONS } = filter;
      const among = [kind, subject, agent, since, before, limit];
      const rows = await ('run' in filter
        ? db.read<DecisionRow>('decisionsOfRun', [filter.run, ...among])
        : db.read<DecisionRow>('decisionsOfNamespace', [filter.namespace, ...among]));
      return rows.map(decisionOf);
    },
  } satisfies Partial<Store>;
}

function itemOf({ run, chosen, alternatives, ...one }: Decision): string {
  return JSON.stringify({
    ...one,
    id: plain(one.id),
    agent: plain(one.agent),
    subject: plain(one.subject),
    reason: plain(one.reason),
    ...(run && { run: plain(run.uid), step: plain(run.step), attempt: run.attempt }),
    ...(chosen !== undefined && { chosen: plain(chosen) }),
    alternatives: json(alternatives),
  });
}
