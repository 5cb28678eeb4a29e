// Workflow: steps, and how they depend on one another.
import { z } from 'zod';
import { dnsLabel, envVar, gpuRequest, image, json, jsonSchema, resources, someTime } from './common.ts';
import { approvalPolicy } from './approval-policy.ts';
import { codeStep, toolStep } from './gateway-steps.ts';
import { runLimits } from './limits.ts';
import { listMap, rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';
import { cache, forEach, repeat, retry, wait } from './step-flow.ts';

/** Ids of nested steps use these: draft.fallback.again, or finally.notify. */
const stepName = dnsLabel
  .meta(
    rules({
      message: 'fallback and finally are names of places in a workflow: choose another name for the step',
      rule: `!(self in ['fallback', 'finally'])`,
    }),
  )
  .describe('The name of the step, unique in the workflow.');

const approvalStep = approvalPolicy.extend({
  message: z.string().min(1).max(8192).describe('What is to be decided; $(…) stands for values.'),
  timeout: someTime.optional().describe('How long people have. Absent: as long as they need.'),
  onTimeout: z.enum(['reject', 'approve']).default('reject').describe('What happens when nobody decides in time.'),
});

const workflowStep = z.object({
  name: dnsLabel.describe('The name of a Workflow in this namespace; what it says when the run begins is pinned.'),
  input: json.optional().describe('Its input: an expression, or a value with expressions inside.'),
});

const agentStep = z
  .object({
    name: dnsLabel.describe('The Agent to ask.'),
    // The prompt of a Run with 32,768 characters is at most so long once each $( in it is escaped.
    prompt: z.string().max(49_152).optional().describe('What to ask; $(…) stands for values.'),
    input: json.optional().describe('Data for the agent: an expression, or a value with expressions inside.'),
    gpu: gpuRequest.optional().describe('Devices: the step then runs in a Job of its own.'),
    isolation: z
      .enum(['job'])
      .optional()
      .describe('job: run the step in a pod of its own even if the agent is served.'),
  })
  .meta(
    rules({
      message: 'an agent must be asked something: set prompt, input or both',
      // A field of any JSON has no type in CEL; seen as dyn it can be looked for.
      rule: 'has(self.prompt) || has(dyn(self).input)',
    }),
  );

const containerStep = z.object({
  image: image.describe('The image to run.'),
  command: z
    .array(z.string().max(8192).describe('One word.'))
    .max(64)
    .optional()
    .describe("Instead of the image's entrypoint; $(…) stands for values."),
  args: z
    .array(z.string().max(8192).describe('One argument.'))
    .max(128)
    .optional()
    .describe('Arguments; $(…) stands for values.'),
  env: z
    .array(envVar)
    .max(64)
    .meta(listMap('name'))
    .optional()
    .describe('Environment variables; $(…) stands for values.'),
  input: json.optional().describe('Data for the container: it finds it as JSON in the variable KADRE_INPUT.'),
  resources: resources.optional().describe('What the container needs.'),
  gpu: gpuRequest.optional().describe('Devices for the container.'),
});

/** What a step can do. Each does exactly one of these. */
export const stepActions = [
  'agent',
  'tool',
  'code',
  'container',
  'value',
  'steps',
  'race',
  'workflow',
  'wait',
  'approval',
  'fail',
] as const;
export type StepAction = (typeof stepActions)[number];

/** A step whose nested steps have the shape `nested`. */
function stepOf<Nested extends z.ZodType>(nested: Nested) {
  return z
    .object({
      name: stepName,
      needs: z
        .array(dnsLabel.describe('The name of a step.'))
        .max(100)
        .optional()
        .describe('The steps to wait for, of the same list. Absent: the step above. An empty list: none.'),
      when: z.string().max(4096).optional().describe('Run the step only if this expression is true.'),
      forEach: forEach
        .optional()
        .describe('Run the step once for each element of a list; its output is the list of outputs, in order.'),
      repeat: repeat.optional().describe('Run the step in rounds; its output is that of the last round.'),
      retry: retry.optional().describe('Try again when the step fails.'),
      timeout: someTime.optional().describe('How long one attempt may take.'),
      onError: z
        .object({
          continue: z
            .boolean()
            .optional()
            .describe('true: go on after the step has failed; its output is null, steps.<name>.failure says why.'),
          fallback: nested
            .optional()
            .describe('Steps to take instead; the output of the last one is that of the step.'),
        })
        .meta(
          rules({
            message: 'set exactly one of continue: true and fallback',
            rule: '(has(self.continue) && self.continue) != has(self.fallback)',
          }),
        )
        .optional()
        .describe('What to do when the step has failed for good. For each element of a forEach apart.'),
      cache: cache.optional().describe('Take over the output of an earlier run of this step with the same key.'),
      agent: agentStep.optional().describe('Ask an agent.'),
      tool: toolStep.optional().describe('Call a tool. What it answers is the output.'),
      code: codeStep
        .optional()
        .describe('Run a short program in a sandbox without network. The output is {result, stdout, stderr, files}.'),
      container: containerStep
        .optional()
        .describe('Run a container to its end. What it writes to /dev/termination-log is its output.'),
      value: json.optional().describe('Compute: an expression, or a value with expressions inside. Starts no pod.'),
      steps: nested.optional().describe('A group: these steps, in their own order. Loops, branches and fan-out nest.'),
      race: nested.optional().describe('These steps at once; the first to succeed wins, the others are cancelled.'),
      workflow: workflowStep.optional().describe('Run another Workflow as a part of this run.'),
      wait: wait.optional().describe('Wait for a length of time, a time or an event.'),
      approval: approvalStep
        .optional()
        .describe('Ask people. The output is {approved, answer, by, at}; a rejection fails the step.'),
      fail: z
        .string()
        .min(1)
        .max(8192)
        .optional()
        .describe('Give up: the step fails with Refused and this message; $(…) stands for values.'),
      output: json
        .optional()
        .describe('Of a group: its output, an expression over its steps. Absent: the output of the last one.'),
    })
    .meta(
      rules(
        {
          message: `a step does one thing: set exactly one of ${stepActions.join(', ')}`,
          rule: `[${stepActions.map((action) => `has(${action === 'value' ? 'dyn(self)' : 'self'}.${action})`).join(', ')}].filter(set, set).size() == 1`,
        },
        {
          message: 'a step cannot wait for itself: remove its own name from needs',
          rule: '!has(self.needs) || !(self.name in self.needs)',
          fieldPath: '.needs',
        },
        {
          message: 'only a group of steps has an output of its own: remove output, or refer to the output of the step',
          rule: '!has(dyn(self).output) || has(self.steps)',
        },
      ),
    )
    .describe('One step.');
}

const MAX_STEPS = 200;

// A CRD cannot nest a schema in itself: the API server looks at the names of nested steps, and keeps the rest as it is.
// Kadre checks them in full and says in the conditions what is wrong.
const openSteps = z
  .array(z.looseObject({ name: stepName }).describe('A step, as under spec.steps.'))
  .min(1)
  .max(MAX_STEPS);

/** A step as the CRD describes it. */
export const openStep = stepOf(openSteps);

/** Undoes the type of nested steps, which zod cannot infer for a schema that contains itself. */
type StepFields = z.infer<typeof openStep>;
export interface Step extends Omit<StepFields, 'steps' | 'race' | 'onError'> {
  steps?: Step[] | undefined;
  race?: Step[] | undefined;
  onError?: { continue?: boolean | undefined; fallback?: Step[] | undefined } | undefined;
}

/** A step in full, with the steps inside it. */
export const step: z.ZodType<Step> = stepOf(
  z
    .array(z.lazy((): z.ZodType<Step> => step))
    .min(1)
    .max(MAX_STEPS),
);

// `names` is bound through a list of one element, so that the names are gathered once and not for every step.
const withNames = (expression: string) => `[self.map(s, s.name)].map(names, ${expression})[0]`;
const needsStranger = 'has(s.needs) && !s.needs.all(need, need in names)';
const needsKnown = rules({
  message: 'needs must name steps of the same list',
  messageExpression: withNames(
    `'step ' + self[self.map(s, ${needsStranger}).indexOf(true)].name + ' needs a step that is not in the same list: mend the names in its needs'`,
  ),
  // Beyond this much work the API server would give up; the operator checks such workflows alone.
  rule: `self.map(s, has(s.needs) ? size(s.needs) : 0).sum() * size(self) > 400000 || ${withNames(`!self.exists(s, ${needsStranger})`)}`,
});

const concurrency = z.object({
  key: z
    .string()
    .min(1)
    .max(1024)
    .default('all')
    .describe('Runs of the workflow with the same key share the places; $(…) stands for values of the input.'),
  limit: z.int().min(1).max(10_000).default(1).describe('How many of them may be at work at once.'),
  onConflict: z
    .enum(['queue', 'cancel', 'reject'])
    .default('queue')
    .describe('When all places are taken: queue, cancel those at work, or reject the newcomer.'),
});

/** A Workflow whose steps have the shape `one`. */
function workflowSpecOf<Shape extends z.ZodType>(one: Shape) {
  return z
    .object({
      description: z.string().max(1024).optional().describe('What the workflow is for, in a sentence.'),
      input: z
        .object({ schema: jsonSchema.describe('A JSON Schema.') })
        .optional()
        .describe('What the input of a run must look like.'),
      steps: z
        .array(one)
        .min(1)
        .max(MAX_STEPS)
        .meta({ ...listMap('name'), ...needsKnown })
        .describe('The steps; each runs after the one above, unless needs says otherwise.'),
      output: json
        .optional()
        .describe(
          'The result of a run: an expression, or a value with expressions inside. Absent: the output of the last step.',
        ),
      finally: z
        .array(one)
        .min(1)
        .max(50)
        .meta({ ...listMap('name'), ...needsKnown })
        .optional()
        .describe('Steps that run at the end, however the run ends; run.phase and run.failure tell them how.'),
      limits: runLimits.optional().describe('How much a run may use.'),
      concurrency: concurrency.optional().describe('How many runs may be at work at once.'),
    })
    .meta(
      rules({
        message: 'names of steps are unique in a workflow: rename the step in finally',
        rule: '!has(self.finally) || !self.finally.exists(f, self.steps.exists(s, s.name == f.name))',
        fieldPath: '.finally',
      }),
    );
}

/** As the CRD describes it. */
export const openWorkflowSpec = workflowSpecOf(openStep);

/** In full, with nested steps. */
export const workflowSpec = workflowSpecOf(step);

export const workflowStatus = z.object({
  observedGeneration,
  steps: z.int().optional().describe('How many steps the workflow has.'),
  conditions,
});

export type AgentStep = z.infer<typeof agentStep>;
export type ContainerStep = z.infer<typeof containerStep>;
export type ApprovalStep = z.infer<typeof approvalStep>;
export type WorkflowSpec = z.infer<typeof workflowSpec>;
export type WorkflowStatus = z.infer<typeof workflowStatus>;
export type Workflow = Resource<WorkflowSpec, WorkflowStatus>;
