// The conditions that kubectl, Argo CD and Flux judge by (kstatus): Ready, and beside it Reconciling or Stalled. Ready=False
// alone would mean "in progress" for ever, so a failure that only a person can mend sets Stalled.
import type { Condition } from '@kadre/crds';
import { setCondition, setHealth, type Health } from '../kube/conditions.ts';
import type { Plan, PlannedEvent } from '../kube/plan.ts';

/** One condition without the bookkeeping. */
export type Fact = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** The object that is judged. */
interface Judged {
  metadata: { generation: number };
  status?: { observedGeneration?: number | undefined; conditions?: Condition[] | undefined };
}

const LONGEST_MESSAGE = 4096;

/** Health first, then the facts. Conditions that are no longer spoken of are dropped. */
export function conditionsOf(object: Judged, health: Health, facts: Fact[], now: Date): Condition[] {
  const { generation } = object.metadata;
  const spokenOf = new Set(['Ready', 'Reconciling', 'Stalled', ...facts.map(({ type }) => type)]);
  const before = object.status?.conditions?.filter(({ type }) => spokenOf.has(type));
  const clipped = { ...health, message: health.message.slice(0, LONGEST_MESSAGE) };
  return facts.reduce<Condition[]>(
    (all, fact) => {
      const message = fact.message.slice(0, LONGEST_MESSAGE);
      return setCondition(all, { ...fact, message, observedGeneration: generation }, now.getTime());
    },
    setHealth(before, clipped, generation, now.getTime()),
  );
}

/** Whether the object's own controller has judged its current spec, and found it ready. */
export function isReady(object: Judged): boolean {
  return conditionNow(object, 'Ready')?.status === 'True';
}

/** The condition, if it is about the current spec. */
export function conditionNow(object: Judged, type: string): Condition | undefined {
  if (object.status?.observedGeneration !== object.metadata.generation) return undefined;
  return object.status.conditions?.find((condition) => condition.type === type);
}

/** An event for a verdict that is news: the object became ready, or got stuck for another reason than before. */
export function news(before: Condition[] | undefined, after: Condition[]): Pick<Plan, 'events'> {
  const events = after.flatMap(({ type, status, reason, message }): PlannedEvent[] => {
    const known = before?.find((condition) => condition.type === type);
    const isNews = status === 'True' && !(known?.status === 'True' && known.reason === reason);
    if (!isNews || (type !== 'Ready' && type !== 'Stalled')) return [];
    return [
      { type: type === 'Ready' ? 'Normal' : 'Warning', reason, action: 'Reconcile', note: message.slice(0, 1000) },
    ];
  });
  return events.length > 0 ? { events } : {};
}
