// Run: one execution of a workflow or of an agent.
import { z } from 'zod';
import { dnsLabel, json } from './common.ts';
import { runLimits } from './limits.ts';
import { rules, unchanged } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

export const runPhases = [
  'Pending',
  'Queued',
  'Running',
  'Waiting',
  'Paused',
  'Succeeded',
  'Failed',
  'Cancelled',
] as const;
export type RunPhase = (typeof runPhases)[number];

export const stepPhases = ['Pending', 'Running', 'Waiting', 'Succeeded', 'Failed', 'Skipped', 'Cancelled'] as const;
export type StepPhase = (typeof stepPhases)[number];

export const usage = z.object({
  inputTokens: z.int().describe('Tokens read by models.'),
  outputTokens: z.int().describe('Tokens written by models.'),
  costUsd: z.string().max(32).describe('What the model calls cost, in USD.'),
  unpricedCalls: z.int().optional().describe('Calls to models without a known price; the cost leaves them out.'),
});

export const stepStatus = z
  .object({
    name: z
      .string()
      .max(512)
      .describe('The step: group.step inside a group, step[2] for an element of a forEach, step#3 for a third round.'),
    phase: z
      .enum(stepPhases)
      .describe('How far the step is. Waiting: for its next attempt, a time, an event or an approval.'),
    attempt: z.int().optional().describe('The number of the latest attempt, from 1.'),
    startedAt: z.string().max(64).optional().describe('When the step first started, RFC 3339.'),
    finishedAt: z.string().max(64).optional().describe('When the step ended, RFC 3339.'),
    reason: z.string().max(64).optional().describe('Why it failed or was skipped, in one word.'),
    message: z.string().max(1024).optional().describe('Why it failed, in a sentence.'),
    job: z.string().max(253).optional().describe('The Job that runs the step.'),
    agent: z.string().max(253).optional().describe('The agent that does a part of a step, named step/part.'),
  })
  .describe('One step.');

const wasCancelled = '(has(oldSelf.cancel) && oldSelf.cancel)';

export const runSpec = z
  .object({
    workflow: z
      .object({ name: dnsLabel.describe('The name of a Workflow in this namespace.') })
      .optional()
      .describe('Run a workflow.'),
    agent: z
      .object({
        name: dnsLabel.describe('The name of an Agent in this namespace.'),
        prompt: z.string().min(1).max(32768).describe('What to ask.'),
      })
      .optional()
      .describe('Ask an agent a single question.'),
    inline: z
      .looseObject({})
      .optional()
      .describe(
        'Run these steps: the spec of a Workflow, written here. What is wrong with it shows in the conditions.',
      ),
    input: json.optional().describe('The input of the workflow.'),
    limits: runLimits.optional().describe('Tighter limits than those of the workflow.'),
    fork: z
      .object({
        run: dnsLabel.describe('The name of another Run in this namespace.'),
        from: z
          .string()
          .min(1)
          .max(512)
          .optional()
          .describe('The step from which on all is done anew, such as draft. Absent: whatever did not succeed.'),
        prompt: z.string().min(1).max(32768).optional().describe('What to ask at that step instead.'),
      })
      .meta(
        rules({
          message: 'prompt replaces the prompt of the step in from: set from, too',
          rule: '!has(self.prompt) || has(self.from)',
        }),
      )
      .optional()
      .describe('Begin with what another run has recorded. Its workflow and input are taken over unless set here.'),
    requestedBy: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe('Your own user name. Approvals may ask that somebody else decides.'),
    priority: z
      .int()
      .min(-1000)
      .max(1000)
      .optional()
      .describe('Of runs that queue for the same place, those with the highest go first. 0 if absent.'),
    suspend: z
      .boolean()
      .optional()
      .describe('Set to true to pause: what is at work ends, nothing new starts. Set to false to go on.'),
    cancel: z.boolean().optional().describe('Set to true to stop the run. It cannot be taken back.'),
  })
  .meta(
    rules(
      {
        message:
          'a run executes one thing: set exactly one of workflow, agent and inline (or only fork, to take over what another run executes)',
        rule: '[has(self.workflow), has(self.agent), has(self.inline)].filter(set, set).size() == (has(self.fork) && !has(self.workflow) && !has(self.inline) ? 0 : 1)',
      },
      {
        message: 'a run is fixed once it is created, only suspend and cancel may be set: create another Run instead',
        rule: unchanged(['workflow', 'agent', 'inline', 'input', 'limits', 'fork', 'requestedBy', 'priority']),
      },
      {
        message: 'a run that was cancelled stays cancelled: create another Run instead',
        rule: `!${wasCancelled} || (has(self.cancel) && self.cancel)`,
      },
    ),
  );

export const runStatus = z.object({
  observedGeneration,
  phase: z.enum(runPhases).optional().describe('How far the run is.'),
  progress: z.string().max(32).optional().describe('Finished steps of all steps, such as 3/7.'),
  steps: z.array(stepStatus).max(32).optional().describe('The steps at work and the latest; the history keeps all.'),
  usage: usage.optional().describe('What the run has used so far.'),
  output: json.optional().describe('The result, if it is small.'),
  startedAt: z.string().max(64).optional().describe('When the run started, RFC 3339.'),
  finishedAt: z.string().max(64).optional().describe('When the run ended, RFC 3339.'),
  waitingFor: z
    .array(
      z
        .object({
          step: z.string().max(512).optional().describe('The step that waits. Absent: the run itself.'),
          queue: z.string().max(1024).optional().describe('The queue in which the run waits for its place, to begin.'),
          approval: z.string().max(253).optional().describe('The Approval that somebody must decide.'),
          event: z.string().max(253).optional().describe('The event that must come.'),
          until: z.string().max(64).optional().describe('When the wait ends by itself, RFC 3339.'),
        })
        .describe('One wait.'),
    )
    .max(16)
    .optional()
    .describe('What the run waits for: people, events, a time or a place in a queue.'),
  conditions,
});

export type Usage = z.infer<typeof usage>;
export type StepStatus = z.infer<typeof stepStatus>;
export type RunSpec = z.infer<typeof runSpec>;
export type RunStatus = z.infer<typeof runStatus>;
export type Run = Resource<RunSpec, RunStatus>;
