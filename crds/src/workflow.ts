// Workflow: steps, and how they depend on one another.
import { z } from 'zod';
import { dnsLabel, duration, envVar, gpuRequest, json, jsonSchema, resources } from './common.ts';
import { listMap, rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';
import { failureReasons } from './reasons.ts';

/** CEL for the milliseconds of a `duration`; CEL itself knows no days. */
const milliseconds = (field: string) =>
  `(${field}.endsWith('d') ? int(${field}.replace('d', '')) * 86400000 : duration(${field}).getMilliseconds())`;

const backoff = z
  .object({
    initial: duration.default('1s').describe('How long to wait before the second attempt.'),
    factor: z.int().min(1).max(10).default(2).describe('By what the wait grows from attempt to attempt.'),
    max: duration.default('5m').describe('The longest wait.'),
  })
  .meta(
    rules({
      message: 'initial must not exceed max (which is 5m if absent): raise max or lower initial',
      rule: `${milliseconds('self.initial')} <= ${milliseconds('self.max')}`,
    }),
  );

const retry = z.object({
  limit: z.int().min(0).max(100).describe('How many attempts may follow the first.'),
  backoff: backoff.optional().describe('How long to wait between attempts.'),
  // Not `on`: to YAML 1.1, which kubectl reads, a key called on is the boolean true.
  reasons: z
    .array(z.enum(failureReasons).describe('A reason for failure.'))
    .max(16)
    .optional()
    .describe('Only for these reasons, such as RateLimited or TimedOut. Absent: for any.'),
});

// Names that expressions already know, and words that CEL keeps for itself.
const TAKEN = [
  'input',
  'steps',
  'run',
  'index',
  'request',
  'true',
  'false',
  'null',
  'in',
  'as',
  'if',
  'else',
  'for',
  'let',
]
  .concat(['var', 'void', 'while', 'loop', 'break', 'continue', 'const', 'function', 'import', 'package', 'namespace'])
  .concat(['return']);

const forEach = z.object({
  items: json.describe('The list: an expression such as $(input.topics), or a literal list.'),
  as: z
    .string()
    .max(63)
    .regex(/^[a-z][a-zA-Z0-9_]*$/)
    .meta(
      rules({
        message:
          'expressions know this name already (input, steps, run, index) or CEL keeps it; choose another such as topic',
        rule: `!(self in [${TAKEN.map((word) => `'${word}'`).join(', ')}])`,
      }),
    )
    .default('item')
    .describe('The name of the element in expressions; its position is index.'),
  parallelism: z.int().min(1).max(1000).optional().describe('How many at once. Absent: all.'),
});

const agentStep = z
  .object({
    name: dnsLabel.describe('The Agent to ask.'),
    prompt: z.string().max(32768).optional().describe('What to ask; $(…) stands for values.'),
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
  image: z.string().min(1).max(512).regex(/^\S+$/).describe('The image to run.'),
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

export const step = z
  .object({
    name: dnsLabel.describe('The name of the step, unique in the workflow.'),
    needs: z
      .array(dnsLabel.describe('The name of a step.'))
      .max(100)
      .optional()
      .describe('The steps to wait for. Absent: the step above. An empty list: none.'),
    when: z.string().max(4096).optional().describe('Run the step only if this expression is true.'),
    forEach: forEach
      .optional()
      .describe('Run the step once for each element of a list; its output is the list of outputs, in order.'),
    retry: retry.optional().describe('Try again when the step fails.'),
    timeout: duration
      .meta(rules({ message: 'a timeout must be longer than nothing', rule: `self.matches('[1-9]')` }))
      .optional()
      .describe('How long one attempt may take.'),
    agent: agentStep.optional().describe('Ask an agent.'),
    container: containerStep
      .optional()
      .describe('Run a container to its end. What it writes to /dev/termination-log is its output.'),
  })
  .meta(
    rules(
      {
        message: 'a step does one thing: set exactly one of agent and container',
        rule: 'has(self.agent) != has(self.container)',
      },
      {
        message: 'a step cannot wait for itself: remove its own name from needs',
        rule: '!has(self.needs) || !(self.name in self.needs)',
        fieldPath: '.needs',
      },
    ),
  )
  .describe('One step.');

// `names` is bound through a list of one element, so that the names are gathered once and not for every step.
const withNames = (expression: string) => `[self.map(s, s.name)].map(names, ${expression})[0]`;
const needsStranger = 'has(s.needs) && !s.needs.all(need, need in names)';
const needsKnown = rules({
  message: 'needs must name steps of this workflow',
  messageExpression: withNames(
    `'step ' + self[self.map(s, ${needsStranger}).indexOf(true)].name + ' needs a step that is not in this workflow: mend the names in its needs'`,
  ),
  // Beyond this much work the API server would give up; the operator checks such workflows alone.
  rule: `self.map(s, has(s.needs) ? size(s.needs) : 0).sum() * size(self) > 400000 || ${withNames(`!self.exists(s, ${needsStranger})`)}`,
});

export const workflowSpec = z.object({
  description: z.string().max(1024).optional().describe('What the workflow is for, in a sentence.'),
  input: z
    .object({ schema: jsonSchema.describe('A JSON Schema.') })
    .optional()
    .describe('What the input of a run must look like.'),
  steps: z
    .array(step)
    .min(1)
    .max(200)
    .meta({ ...listMap('name'), ...needsKnown })
    .describe('The steps; each runs after the one above, unless needs says otherwise.'),
  output: json
    .optional()
    .describe(
      'The result of a run: an expression, or a value with expressions inside. Absent: the output of the last step.',
    ),
});

export const workflowStatus = z.object({
  observedGeneration,
  steps: z.int().optional().describe('How many steps the workflow has.'),
  conditions,
});

export type Step = z.infer<typeof step>;
export type AgentStep = z.infer<typeof agentStep>;
export type ContainerStep = z.infer<typeof containerStep>;
export type Retry = z.infer<typeof retry>;
export type WorkflowSpec = z.infer<typeof workflowSpec>;
export type WorkflowStatus = z.infer<typeof workflowStatus>;
export type Workflow = Resource<WorkflowSpec, WorkflowStatus>;
