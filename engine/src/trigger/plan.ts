// A Trigger made ready: its expressions compiled, its mistakes found. The operator (schedules, watches) and the server
// (webhooks) both start from here, so that an expression means the same for each cause.
import type { TriggerSpec } from '@kadre/crds';
import { compileCondition } from '../core/compile/condition.ts';
import type { Scope } from '../core/expression/node.ts';
import {
  compileTemplate,
  compileText,
  type Report,
  type Template,
  type TextTemplate,
} from '../core/expression/template.ts';
import { anyType, closedMap, stringType, type Type } from '../core/expression/types.ts';
import type { Problem } from '../core/plan.ts';

export interface TriggerPlan {
  /** True or false of what happened. Absent: everything counts. */
  filter?: Template;
  /** The filter looks at more than the object as it is now, and so judges each change of a watch by itself. */
  judgesChanges: boolean;
  /** Of a webhook: tells one delivery from another. */
  key?: TextTemplate;
  /** Input of the run, or payload of the event. Absent: none. */
  data?: Template;
}

const trigger = closedMap([
  ['name', stringType],
  ['namespace', stringType],
]);

/** What expressions of a Trigger know, by its cause. */
const variables = {
  schedule: { scheduledTime: stringType },
  webhook: { body: anyType, headers: { kind: 'map' }, query: { kind: 'map' } },
  watch: { object: { kind: 'map' }, oldObject: anyType, change: stringType },
} satisfies Record<string, Record<string, Type>>;

/** Each problem has the path of its field in the manifest. */
export function planTrigger(spec: TriggerSpec): { plan: TriggerPlan } | { problems: Problem[] } {
  const problems: Problem[] = [];
  const report: Report = (path, message) => problems.push({ path, message });
  const scope = scopeOf(spec);
  const { webhook, watch, start } = spec;
  const plan: TriggerPlan = { judgesChanges: false };
  const cause = webhook ? 'webhook' : 'watch';
  const filter = (webhook ?? watch)?.filter;
  if (filter !== undefined) {
    const { template, uses } = compileCondition(filter, `spec.${cause}.filter`, scope, report);
    plan.filter = template;
    plan.judgesChanges = uses.has('oldObject') || uses.has('change');
  }
  const key = webhook?.idempotencyKey;
  if (key !== undefined) plan.key = compileText(key, 'spec.webhook.idempotencyKey', scope, report);
  const [data, path] = start.event
    ? [start.event.payload, 'spec.start.event.payload']
    : [start.input, 'spec.start.input'];
  if (data !== undefined) plan.data = compileTemplate(data, path, scope, report);
  return problems.length > 0 ? { problems } : { plan };
}

function scopeOf({ schedule, webhook }: TriggerSpec): Scope {
  const known: Record<string, Type> = variables[schedule ? 'schedule' : webhook ? 'webhook' : 'watch'];
  return { variables: new Map(Object.entries({ ...known, trigger })), steps: new Map() };
}
