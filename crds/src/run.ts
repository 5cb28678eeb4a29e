// Run: one execution of a workflow or of an agent.
import { z } from 'zod';
import { dnsLabel, json } from './common.ts';
import { rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

export const runPhases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Cancelled'] as const;
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
    name: z.string().max(128).describe('The step; an element of a forEach is step[index].'),
    phase: z.enum(stepPhases).describe('How far the step is. Waiting: for its next attempt.'),
    attempt: z.int().optional().describe('The number of the latest attempt, from 1.'),
    startedAt: z.string().max(64).optional().describe('When the step first started, RFC 3339.'),
    finishedAt: z.string().max(64).optional().describe('When the step ended, RFC 3339.'),
    reason: z.string().max(64).optional().describe('Why it failed or was skipped, in one word.'),
    message: z.string().max(1024).optional().describe('Why it failed, in a sentence.'),
    job: z.string().max(253).optional().describe('The Job that runs the step.'),
  })
  .describe('One step.');

// A field of any JSON has no type in CEL; seen as dyn it can still be compared.
const unchanged = (field: string) =>
  `has(dyn(self).${field}) == has(dyn(oldSelf).${field}) && (!has(dyn(self).${field}) || dyn(self).${field} == dyn(oldSelf).${field})`;
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
    input: json.optional().describe('The input of the workflow.'),
    cancel: z.boolean().optional().describe('Set to true to stop the run. It cannot be taken back.'),
  })
  .meta(
    rules(
      {
        message: 'a run executes one thing: set exactly one of workflow and agent',
        rule: 'has(self.workflow) != has(self.agent)',
      },
      {
        message: 'a run is fixed once it is created, only cancel may be set: create another Run instead',
        rule: ['workflow', 'agent', 'input'].map(unchanged).join(' && '),
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
  conditions,
});

export type Usage = z.infer<typeof usage>;
export type StepStatus = z.infer<typeof stepStatus>;
export type RunSpec = z.infer<typeof runSpec>;
export type RunStatus = z.infer<typeof runStatus>;
export type Run = Resource<RunSpec, RunStatus>;
