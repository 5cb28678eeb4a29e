// What an archive says of each event: not only what happened, but why, what else could have been, what it rests on and
// who decided. Made from the log and the pinned workflow alone, so that it is the same whenever it is made.
import type { Failure } from '@kadre/crds';
import type { DecisionRecord, Describe, RunSubmission, StoredEvent } from '@kadre/store';
import { compileWorkflow } from './compile/compile-workflow.ts';
import type { EngineEvent, EventOf, Route } from './events.ts';
import { findStep, type Found } from './lookup.ts';
import { emptyPlan, type Plan } from './plan.ts';

type Reasons = Pick<DecisionRecord, 'what' | 'who'> & Partial<Pick<DecisionRecord, 'why' | 'alternatives' | 'inputs'>>;

/** `version`: of Kadre. */
export function decisionRecords(version: string): Describe {
  let last: { submission: RunSubmission; plans: Plans } | undefined;
  return (submission, event) => {
    // The events of a run come one after the other.
    if (last?.submission !== submission) last = { submission, plans: plansOf(submission) };
    return recordOf(submission, event, last.plans, version);
  };
}

interface Plans {
  plan: Plan;
  plans: ReadonlyMap<string, Plan>;
}

function plansOf({ workflow, workflows = {}, subject }: RunSubmission): Plans {
  const compiled = (spec: unknown, name: string): Plan => {
    const result = compileWorkflow(spec, name);
    return 'plan' in result ? result.plan : emptyPlan;
  };
  const plans = Object.entries(workflows).map(([name, spec]) => [name, compiled(spec, name)] as const);
  return { plan: compiled(workflow, subject), plans: new Map(plans) };
}

function recordOf(
  submission: RunSubmission,
  stored: StoredEvent,
  { plan, plans }: Plans,
  version: string,
): DecisionRecord {
  const { uid, namespace, name, subject } = submission;
  const { seq, at, type, data } = stored;
  const event = stored as unknown as EngineEvent;
  const step = 'step' in event.data && event.data.step !== '' ? event.data.step : undefined;
  const attempt = 'attempt' in event.data ? event.data.attempt : undefined;
  const usage = 'usage' in event.data ? event.data.usage : undefined;
  const found = step === undefined ? undefined : findStep(plan, plans, step);
  const { alternatives = [], inputs = [], ...reasons } = reasonsFor(event, submission, found);
  return {
    run: uid,
    namespace,
    name,
    subject,
    seq,
    at,
    type,
    ...(step !== undefined && { step }),
    ...(attempt !== undefined && { attempt }),
    ...reasons,
    alternatives,
    inputs,
    version,
    ...(usage && {
      costNanoUsd: usage.costNanoUsd,
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
    }),
    data: JSON.stringify(data ?? null),
  };
}

const ENGINE = 'engine';

function reasonsFor(event: EngineEvent, submission: RunSubmission, found: Found | undefined): Reasons {
  switch (event.type) {
    case 'RunQueued':
      return {
        what: `The run waits in the queue ${event.data.queue}.`,
        why: 'Other runs have all its places.',
        who: ENGINE,
      };
    case 'RunStarted':
      return { what: `The run of ${submission.subject} began.`, ...askedBy(submission), inputs: ['input'] };
    case 'RunSuspended':
    case 'RunResumed':
      return { what: event.type === 'RunSuspended' ? 'The run was paused.' : 'The run went on.', who: 'user' };
    case 'CancelRequested':
      return { what: 'The run is to end.', why: event.data.message, who: 'user' };
    case 'LimitReached':
      return { what: 'The run ends at a limit.', why: event.data.failure.message, inputs: ['limits'], who: ENGINE };
    case 'FinallyStarted':
      return { what: 'The steps of finally began.', why: 'The steps before them have ended.', who: ENGINE };
    case 'RunSucceeded':
      return { what: 'The run succeeded.', why: 'All its steps are over.', who: ENGINE };
    case 'RunFailed':
    case 'RunCancelled':
      return {
        what: `The run ${event.type === 'RunFailed' ? 'failed' : 'was cancelled'}.`,
        ...because(event.data.failure),
      };
    default:
      return stepReasons(event, found);
  }
}

function askedBy({ requestedBy, fork }: RunSubmission): Pick<Reasons, 'who' | 'why'> {
  const who = requestedBy ?? ENGINE;
  return fork ? { who, why: `It is a fork of the run ${fork.run}.` } : { who };
}

function because({ reason, message }: Failure): Pick<Reasons, 'why' | 'who'> {
  return { why: `${reason}: ${message}`, who: ENGINE };
}

function stepReasons(event: Exclude<EngineEvent, EventOf<'FinallyStarted'>>, found: Found | undefined): Reasons {
  switch (event.type) {
    case 'StepSkipped':
      return {
        what: `Step ${event.data.step} was skipped.`,
        why: 'Its condition `when` is false.',
        alternatives: ['run the step'],
        inputs: needsOf(event.data.step, found),
        who: ENGINE,
      };
    case 'StepFannedOut': {
      const what = `Step ${event.data.step} has ${event.data.count} elements.`;
      return { what, why: 'So long is the list of its forEach.', inputs: needsOf(event.data.step, found), who: ENGINE };
    }
    case 'StepStarted':
      return started(event, found);
    case 'StepAccepted':
      return { what: `The agent took the task ${event.data.taskId}.`, who: agentOf(found) };
    case 'StepDelegated': {
      const { agent, phase, id } = event.data.delegation;
      const what = `The agent ${agent} ${delegated[phase]} the part ${id} of ${event.data.step}.`;
      return { what, inputs: [`${event.data.step}/${event.data.attempt}`], who: agentOf(found) };
    }
    case 'StepAsked': {
      const inputs = [`${event.data.step}/${event.data.attempt}`];
      return {
        what: `Step ${event.data.step} asks people by Approval ${event.data.approval}.`,
        inputs,
        who: agentOf(found),
      };
    }
    case 'StepAnswered':
      return { what: `Step ${event.data.step} has its answer, or needs none any more.`, who: 'user' };
    case 'StepStopping':
      return {
        what: `Attempt ${event.data.attempt} at ${event.data.step} is to stop.`,
        ...because(event.data.failure),
      };
    case 'StepSucceeded':
      return succeeded(event, found);
    case 'StepFailed':
      return failed(event, found);
    case 'StepCancelled':
      return { what: `Step ${event.data.step} was cancelled.`, why: 'What is around it has ended.', who: ENGINE };
    default:
      return { what: event.type, who: ENGINE };
  }
}

const delegated = { Running: 'was given', Succeeded: 'did', Failed: 'failed at' } as const;

const means: Record<Route['kind'], string> = {
  service: "by its agent's service",
  job: 'by a Job',
  gateway: 'through the gateway',
  inline: 'with the steps inside',
  timer: 'and waits for a time',
  event: 'and waits for an event',
  approval: 'and asks people',
};

function started({ data }: EventOf<'StepStarted'>, found: Found | undefined): Reasons {
  const { step, attempt, route } = data;
  const needs = needsOf(step, found);
  const first = needs.length > 0 ? `What it waits for is over: ${needs.join(', ')}.` : 'It waits for nothing.';
  return {
    what: `Attempt ${attempt} at ${step} began, ${means[route.kind]}.`,
    why: attempt > 1 ? 'The attempt before it failed, and another one is allowed.' : first,
    alternatives: found?.step.when ? ['skip the step'] : [],
    inputs: [...needs, 'input'],
    who: ENGINE,
  };
}

function succeeded({ data }: EventOf<'StepSucceeded'>, found: Found | undefined): Reasons {
  const { step, attempt, source, again, enough } = data;
  const next = again ? ' Another round follows.' : enough ? ' The other elements are not waited for.' : '';
  const what = `Step ${step} succeeded.${next}`;
  const alternatives = again
    ? ['end the loop']
    : enough
      ? ['wait for the others']
      : found?.step.repeat
        ? ['another round']
        : [];
  const inputs = attempt > 0 ? [`${step}/${attempt}`] : [];
  switch (source?.kind) {
    case 'cache':
      return {
        what,
        why: `The run ${source.run} had its output under the same key.`,
        alternatives: ['do it anew'],
        who: ENGINE,
      };
    case 'fork':
      return { what, why: `The run ${source.run} had done it.`, alternatives: ['do it anew'], inputs, who: ENGINE };
    case 'event':
      return { what, why: `The event ${source.id} came.`, inputs: [`event ${source.id}`], alternatives, who: ENGINE };
    case 'approval':
      return source.by === undefined
        ? { what, why: 'Nobody decided in time.', alternatives: ['reject'], who: ENGINE }
        : { what, why: `${source.by} approved.`, alternatives: ['reject'], who: source.by };
    default:
      return { what, alternatives, inputs, who: agentOf(found) };
  }
}

function failed({ data }: EventOf<'StepFailed'>, found: Found | undefined): Reasons {
  const { step, attempt, failure, retryAt, then } = data;
  const ways = ['try again', 'take the fallback', 'continue', 'fail what is around the step'];
  const way = retryAt !== undefined ? 0 : then === 'fallback' ? 1 : then === 'continue' ? 2 : 3;
  const consequence = [
    'Another attempt follows.',
    'Its fallback takes its place.',
    'The run goes on without it.',
    'What is around it fails.',
  ][way];
  return {
    what: `Attempt ${attempt} at ${step} failed. ${consequence ?? ''}`,
    why: `${failure.reason}: ${failure.message}`,
    alternatives: ways.filter((_, i) => i !== way),
    inputs: [`${step}/${attempt}`],
    who: failure.reason === 'ApprovalRejected' ? 'user' : agentOf(found),
  };
}

/** Ids of the steps that it waits for. */
function needsOf(id: string, found: Found | undefined): string[] {
  const prefix = id.slice(0, id.lastIndexOf('.') + 1);
  return (found?.step.needs ?? []).flatMap((need) => {
    const name = found?.block.steps[need]?.name;
    return name === undefined ? [] : [`${prefix}${name}`];
  });
}

function agentOf(found: Found | undefined): string {
  const action = found?.step.action;
  if (action?.kind === 'agent') return `agent ${action.agent.name}`;
  if (action?.kind === 'tool') return `tool ${action.tool.name}`;
  return action?.kind === 'container' || action?.kind === 'code' ? action.kind : ENGINE;
}
