// How often a step is carried out, for what, and when: again, for each, in rounds, from memory, later.
import { z } from 'zod';
import { duration, json, someTime } from './common.ts';
import { rules } from './markers.ts';
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

export const retry = z.object({
  limit: z.int().min(0).max(100).describe('How many attempts may follow the first.'),
  backoff: backoff.optional().describe('How long to wait between attempts.'),
  // Not `on`: to YAML 1.1, which kubectl reads, a key called on is the boolean true.
  reasons: z
    .array(z.enum(failureReasons).describe('A reason for failure.'))
    .max(16)
    .optional()
    .describe('Only for these reasons, such as RateLimited or TimedOut. Absent: for any.'),
});

/** Names that expressions already know, and words that CEL keeps for itself. */
export const reservedNames: readonly string[] = [
  'input',
  'steps',
  'run',
  'index',
  'round',
  'previous',
  'output',
  'outputs',
  'event',
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

const expression = z.string().min(1).max(4096);

/** Names of events, of what is published and what is waited for. */
export const eventName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-zA-Z0-9]([-._/a-zA-Z0-9]*[a-zA-Z0-9])?$/);

export const forEach = z.object({
  items: json.describe('The list: an expression such as $(input.topics), or a literal list.'),
  as: z
    .string()
    .max(63)
    .regex(/^[a-z][a-zA-Z0-9_]*$/)
    .meta(
      rules({
        message:
          'expressions know this name already (input, steps, run, index, round, previous, output, outputs, event) or CEL keeps it; choose another such as topic',
        rule: `!(self in [${reservedNames.map((word) => `'${word}'`).join(', ')}])`,
      }),
    )
    .default('item')
    .describe('The name of the element in expressions; its position is index.'),
  parallelism: z.int().min(1).max(1000).optional().describe('How many at once. Absent: all.'),
  until: expression
    .optional()
    .describe('Enough: when this is true of outputs, the list of outputs so far, elements at work are cancelled.'),
});

export const repeat = z
  .object({
    until: expression
      .optional()
      .describe('Ends the loop when it is true of output, the output of the round. Absent: after max rounds.'),
    max: z.int().min(1).max(10_000).describe('How many rounds at most.'),
    onMax: z
      .enum(['fail', 'continue'])
      .optional()
      .describe(
        'When until is still false after max rounds: fail with LimitExceeded (the default), or continue with the last output.',
      ),
  })
  .meta(
    rules({
      message: 'onMax says what happens when until stays false: set until, or remove onMax',
      rule: '!has(self.onMax) || has(self.until)',
    }),
  );

export const cache = z.object({
  key: z.string().min(1).max(4096).describe('What the output depends on, such as $(input.url).'),
  ttl: someTime.default('1d').describe('How long an output is taken over by later runs.'),
});

export const wait = z
  .object({
    for: duration.optional().describe('Wait so long.'),
    until: z.string().min(1).max(4096).optional().describe('Wait until this time, RFC 3339; $(…) stands for values.'),
    event: z
      .object({
        name: eventName.describe('The name of the event.'),
        filter: expression.optional().describe('Only an event for which this is true; event is its payload.'),
      })
      .optional()
      .describe('Wait for an event; its payload is the output. One that came since the run began counts, too.'),
  })
  .meta(
    rules({
      message: 'a wait ends in one way: set exactly one of for, until and event',
      rule: '[has(self.for), has(self.until), has(self.event)].filter(set, set).size() == 1',
    }),
  );

export type WaitStep = z.infer<typeof wait>;
export type Retry = z.infer<typeof retry>;
