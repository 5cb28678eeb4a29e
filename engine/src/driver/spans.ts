// What ends with an event, as a span of the run's trace. All ids are derived from names, so it makes no difference which
// engine saw the beginning.
import {
  attemptSpanId,
  attribute,
  operation,
  runSpanId,
  runTraceId,
  type Attributes,
  type Span,
} from '@kadre/telemetry';
import type { EngineEvent, EventOf } from '../core/events.ts';
import { placeOf } from '../core/ids.ts';
import type { RunState, Scope, Unit } from '../core/state.ts';

type RunEnd = EventOf<'RunSucceeded' | 'RunFailed' | 'RunCancelled'>;
type AttemptEnd = EventOf<'StepSucceeded' | 'StepFailed' | 'StepCancelled'>;

/** To be asked before the event is applied. Undefined: nothing that had begun ends. */
export function spanOf(state: RunState, event: EngineEvent): Span | undefined {
  switch (event.type) {
    case 'RunSucceeded':
    case 'RunFailed':
    case 'RunCancelled':
      return spanOfRun(state, event);
    case 'StepSucceeded':
    case 'StepFailed':
    case 'StepCancelled':
      return spanOfAttempt(state, event);
    default:
      return undefined;
  }
}

const NANO_PER_USD = 1e9;

function spanOfRun({ run, plan, bornAt, startedAt, usage }: RunState, event: RunEnd): Span {
  const begun = bornAt ?? event.at;
  return {
    name: `${operation.invokeWorkflow} ${plan.name}`,
    kind: 'internal',
    traceId: runTraceId(run.uid),
    spanId: runSpanId(run.uid),
    startedAt: begun,
    endedAt: event.at,
    // Before that it was in a queue.
    ...(startedAt !== undefined && startedAt > begun && { events: [{ name: 'started', at: startedAt }] }),
    attributes: {
      [attribute.operation]: operation.invokeWorkflow,
      [attribute.workflow]: plan.name,
      ...whose(run),
      [attribute.phase]: event.type.slice('Run'.length),
      [attribute.runInputTokens]: usage.inputTokens,
      [attribute.runOutputTokens]: usage.outputTokens,
      [attribute.runCostUsd]: usage.costNanoUsd / NANO_PER_USD,
    },
    error: 'failure' in event.data ? event.data.failure.reason : undefined,
  };
}

function spanOfAttempt(state: RunState, event: AttemptEnd): Span | undefined {
  const { run } = state;
  const { step: id, attempt } = event.data;
  const place = placeOf(id);
  const unit = state.steps.get(place.step)?.units.get(place.index);
  // What is answered without an attempt takes no time, and of an attempt with a fallback there is a span already.
  if (unit?.id !== id || unit.attempt !== attempt || unit.attemptStartedAt === undefined || unit.fallback)
    return undefined;
  return {
    ...nameOf(unit),
    traceId: runTraceId(run.uid),
    spanId: attemptSpanId(run.uid, id, attempt),
    parentSpanId: parentOf(run.uid, unit.step.scope),
    startedAt: unit.attemptStartedAt,
    endedAt: event.at,
    attributes: {
      ...operationOf(unit),
      ...whose(run),
      [attribute.step]: id,
      [attribute.attempt]: attempt,
      [attribute.stepKind]: unit.step.plan.action.kind,
      [attribute.phase]: event.type.slice('Step'.length),
    },
    error: errorOf(event),
  };
}

function nameOf({ step }: Unit): Pick<Span, 'name' | 'kind'> {
  const { action, name } = step.plan;
  if (action.kind === 'agent') return { name: `${operation.invokeAgent} ${action.agent.name}`, kind: 'client' };
  if (action.kind === 'workflow') return { name: `${operation.invokeWorkflow} ${action.name}`, kind: 'internal' };
  return { name: `step ${name}`, kind: 'internal' };
}

function operationOf({ step }: Unit): Attributes {
  const { action } = step.plan;
  if (action.kind === 'agent')
    return { [attribute.operation]: operation.invokeAgent, [attribute.agent]: action.agent.name };
  if (action.kind === 'workflow')
    return { [attribute.operation]: operation.invokeWorkflow, [attribute.workflow]: action.name };
  return {};
}

const whose = ({ uid, name, namespace }: RunState['run']): Attributes => ({
  [attribute.run]: uid,
  [attribute.runName]: name,
  [attribute.namespace]: namespace,
});

function errorOf({ type, data }: AttemptEnd): string | undefined {
  if (type === 'StepCancelled') return 'Cancelled';
  return type === 'StepFailed' ? data.failure.reason : undefined;
}

/** The attempt that the scope is inside of, or the run. A fallback comes after the attempt in whose place it stands. */
function parentOf(run: string, scope: Scope): string {
  for (let around = scope; around.unit; around = around.unit.step.scope) {
    if (around.kind !== 'fallback') return attemptSpanId(run, around.unit.id, around.unit.attempt);
  }
  return runSpanId(run);
}
