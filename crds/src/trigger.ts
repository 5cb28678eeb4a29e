// Trigger: starts Runs, or publishes events, by the clock, for an HTTP request or when an object changes.
import { z } from 'zod';
import { dnsLabel, json, secretKeyRef, someTime, timeZone } from './common.ts';
import { runLimits } from './limits.ts';
import { rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';
import { runPhases } from './run.ts';
import { eventName } from './step-flow.ts';

const expression = z.string().min(1).max(4096);

const schedule = z.object({
  cron: z
    .string()
    .min(9)
    .max(256)
    .regex(/^\S+ +\S+ +\S+ +\S+ +\S+$/)
    .describe('Minute, hour, day of the month, month and day of the week, such as 30 6 * * MON-FRI.'),
  timeZone: timeZone.default('UTC').describe('The time zone of cron, such as Europe/Berlin.'),
  concurrencyPolicy: z
    .enum(['Allow', 'Forbid', 'Replace'])
    .default('Allow')
    .describe('When a run of this Trigger is still at work: Allow another, Forbid it, or Replace (cancel) the older.'),
  startingDeadline: someTime
    .optional()
    .describe('How late a run may start. Of starts that were missed, the latest is made up for. Absent: however late.'),
});

const headerName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9][-A-Za-z0-9_]*$/);

const hmac = z
  .object({
    secretRef: secretKeyRef.describe('The Secret that holds the key with which the sender signs.'),
    header: headerName.describe('The header with the signature, such as X-Hub-Signature-256.'),
    algorithm: z.enum(['sha256', 'sha512']).default('sha256').describe('The hash of the HMAC.'),
    encoding: z.enum(['hex', 'base64']).default('hex').describe('How the signature is written.'),
    prefix: z.string().max(32).optional().describe('What stands before the signature, such as sha256= of GitHub.'),
    timestampHeader: headerName
      .optional()
      .describe(
        'The header with the time of the request, in seconds since 1970. Requests of another time are refused.',
      ),
    tolerance: someTime.default('5m').describe('How far that time may be from now.'),
    signedText: z
      .string()
      .max(256)
      .meta(
        rules({ message: 'the body must be signed: let $(body) be a part of it', rule: `self.contains('$(body)')` }),
      )
      .optional()
      .describe(
        'What is signed: $(body) is the body as it was sent, $(timestamp) the value of timestampHeader. Absent: $(body), or $(timestamp).$(body) with a timestampHeader.',
      ),
  })
  .meta(
    rules({
      message: 'a time that is not signed proves nothing: use timestampHeader and $(timestamp) in signedText together',
      rule: `!has(self.signedText) || self.signedText.contains('$(timestamp)') == has(self.timestampHeader)`,
      fieldPath: '.signedText',
    }),
  );

const webhook = z
  .object({
    auth: z
      .object({
        hmac: hmac.optional().describe('The sender signs each request.'),
        bearer: z
          .object({ secretRef: secretKeyRef.describe('The Secret that holds the token.') })
          .optional()
          .describe('The sender shows a token: Authorization: Bearer ….'),
      })
      .meta(
        rules({
          message: 'no webhook is open to everybody: set exactly one of hmac and bearer',
          rule: 'has(self.hmac) != has(self.bearer)',
        }),
      )
      .describe('How the sender proves who it is.'),
    filter: expression
      .optional()
      .describe('Only requests for which this is true of body, headers and query, such as $(body.action == "opened").'),
    idempotencyKey: expression
      .optional()
      .describe(
        "What tells one delivery from another, such as $(headers['x-github-delivery']): a delivery that comes again starts nothing. Absent: time and body.",
      ),
    remember: someTime
      .default('1h')
      .describe('How long a delivery is known at least: so long its run is kept, whatever historyLimit says.'),
    rateLimit: z
      .object({
        requestsPerMinute: z.int().min(1).max(60_000).describe('How many requests each replica of the server takes.'),
      })
      .optional()
      .describe('How many requests are taken; others are answered 429. Absent: 600 a minute.'),
  })
  .meta(
    rules({
      message:
        "Kadre cannot tell a delivery that comes again from a new one: set idempotencyKey, such as $(headers['idempotency-key']), or auth.hmac.timestampHeader",
      rule: 'has(self.idempotencyKey) || (has(self.auth.hmac) && has(self.auth.hmac.timestampHeader))',
      fieldPath: '.idempotencyKey',
    }),
  );

export const watchedChanges = ['Added', 'Modified', 'Deleted'] as const;
export type WatchedChange = (typeof watchedChanges)[number];

const watch = z
  .object({
    apiVersion: z
      .string()
      .min(1)
      .max(253)
      .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?v[a-z0-9]+$/)
      .describe('The apiVersion of the objects, such as apps/v1.'),
    kind: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[A-Z][A-Za-z0-9]*$/)
      .describe('Their kind, such as Deployment.'),
    resource: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-z][-a-z0-9]*$/)
      .optional()
      .describe('The plural of the kind, as `kubectl api-resources` shows it, if the usual rules do not yield it.'),
    labelSelector: z
      .object({
        matchLabels: z
          .record(z.string().max(317), z.string().max(63).describe('The value of a label.'))
          .meta({ maxProperties: 32 })
          .optional()
          .describe('Labels that an object must have.'),
      })
      .optional()
      .describe('Only objects with these labels.'),
    // Not `on`: to YAML 1.1, which kubectl reads, a key called on is the boolean true.
    changes: z
      .array(z.enum(watchedChanges).describe('A change.'))
      .min(1)
      .max(3)
      .describe('Which changes count: Added, Modified, Deleted.'),
    filter: expression
      .optional()
      .describe(
        'Only objects for which this is true of object and oldObject, such as $(object.status.phase == "Failed"). With Modified: when it becomes true.',
      ),
  })
  .meta(
    rules({
      message: 'Secrets are not watched: what is in them would end up in the inputs of runs',
      rule: `!(self.apiVersion == 'v1' && self.kind == 'Secret') && (!has(self.resource) || self.resource != 'secrets')`,
    }),
  );

const start = z
  .object({
    workflow: z
      .object({ name: dnsLabel.describe('The name of a Workflow in this namespace.') })
      .optional()
      .describe('Start a run of a workflow.'),
    input: json
      .optional()
      .describe('The input of the run: an expression such as $(body.issue), or a value with expressions inside.'),
    limits: runLimits.optional().describe('Tighter limits than those of the workflow.'),
    event: z
      .object({
        name: eventName.describe('The name of the event.'),
        payload: json.optional().describe('What it says: an expression, or a value with expressions inside.'),
      })
      .optional()
      .describe('Publish an event in this namespace, for the runs that wait for it.'),
  })
  .meta(
    rules(
      {
        message: 'a Trigger does one thing: set exactly one of start.workflow and start.event',
        rule: 'has(self.workflow) != has(self.event)',
      },
      {
        // A field of any JSON has no type in CEL; seen as dyn it can be looked for.
        message: 'input and limits are those of a run: use event.payload, or start a workflow',
        rule: '!has(self.event) || (!has(dyn(self).input) && !has(self.limits))',
      },
    ),
  );

export const triggerSpec = z
  .object({
    schedule: schedule.optional().describe('Start by the clock. Expressions know scheduledTime.'),
    webhook: webhook
      .optional()
      .describe('Start for an HTTP request. Expressions know body, headers (names in small letters) and query.'),
    watch: watch
      .optional()
      .describe(
        'Start when an object of this namespace changes. Expressions know object, oldObject (null if not known) and change.',
      ),
    start: start.describe('What is started.'),
    suspend: z.boolean().optional().describe('true: nothing is started, and nothing is made up for later.'),
    historyLimit: z
      .object({
        successful: z.int().min(0).max(1000).default(3).describe('How many Runs that succeeded are kept.'),
        failed: z.int().min(0).max(1000).default(3).describe('How many Runs that failed or were cancelled are kept.'),
      })
      .optional()
      .describe('How many finished Runs of this Trigger are kept; their history stays. Absent: 3 and 3.'),
  })
  .meta(
    rules({
      message: 'a Trigger has one cause: set exactly one of schedule, webhook and watch',
      rule: '[has(self.schedule), has(self.webhook), has(self.watch)].filter(set, set).size() == 1',
    }),
  );

const time = z.string().max(64);

export const triggerStatus = z.object({
  observedGeneration,
  cause: z.enum(['Schedule', 'Webhook', 'Watch']).optional().describe('What starts it.'),
  url: z.string().max(2048).optional().describe('Where the webhook takes requests inside the cluster.'),
  lastScheduleTime: time.optional().describe('The time for which a run was last started, RFC 3339.'),
  nextScheduleTime: time.optional().describe('When the next one is due, RFC 3339.'),
  scheduledUpTo: time.optional().describe('All times up to this one have been dealt with, RFC 3339.'),
  watched: z
    .object({
      generation: z.int().describe('The generation of the spec for which this was looked at.'),
      resourceVersion: z.string().max(64).describe('All changes up to this version have been dealt with.'),
      createdUpTo: time.describe('Objects that were created before have been dealt with, RFC 3339.'),
      known: z
        .string()
        .max(20_000)
        .optional()
        .describe(
          'Digests of the objects for which the filter was true, or that came last, so that none counts twice.',
        ),
    })
    .optional()
    .describe('How far a watch has come.'),
  lastRun: z
    .object({
      name: z.string().max(253).describe('Its name.'),
      phase: z.enum(runPhases).optional().describe('How far it is.'),
      createdAt: time.optional().describe('When it was started, RFC 3339.'),
    })
    .optional()
    .describe('The latest Run of this Trigger.'),
  active: z.int().optional().describe('How many of its Runs are at work.'),
  conditions,
});

/** The plural of a kind by the usual rules. The policy `kadre-triggers` applies the same ones. */
export function usualResource(kind: string): string {
  const name = kind.toLowerCase();
  if (/(s|x|ch|sh)$/.test(name)) return `${name}es`;
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return `${name}s`;
}

export type TriggerSpec = z.infer<typeof triggerSpec>;
export type TriggerStatus = z.infer<typeof triggerStatus>;
export type Trigger = Resource<TriggerSpec, TriggerStatus>;
export type ScheduleTrigger = z.infer<typeof schedule>;
export type WebhookTrigger = z.infer<typeof webhook>;
export type HmacAuth = z.infer<typeof hmac>;
export type WatchTrigger = z.infer<typeof watch>;
