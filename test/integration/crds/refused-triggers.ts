// Wrong Triggers; see refused-manifests.ts.
import type { Refusal } from './refused-manifests.ts';

const start = { workflow: { name: 'triage' } };
const schedule = { cron: '0 6 * * *' };
const secretRef = { name: 'hook', key: 'secret' };
const hmac = { secretRef, header: 'X-Hub-Signature-256' };
const key = { idempotencyKey: "$(headers['x-github-delivery'])" };

const trigger = (fields: object) => ({ spec: { schedule, start, ...fields } });
const webhook = (fields: object) => ({ spec: { webhook: { auth: { hmac }, ...key, ...fields }, start } });
const signed = (fields: object) => webhook({ auth: { hmac: { ...hmac, ...fields } } });
const watch = (fields: object) => ({
  spec: { watch: { apiVersion: 'v1', kind: 'Pod', changes: ['Added'], ...fields }, start },
});

export const triggerRefusals: Refusal[] = [
  {
    mistake: 'no cause',
    kind: 'Trigger',
    wrong: { spec: { start } },
    message: 'a Trigger has one cause: set exactly one of schedule, webhook and watch',
    right: trigger({}),
  },
  {
    mistake: 'two causes',
    kind: 'Trigger',
    wrong: trigger({ watch: { apiVersion: 'v1', kind: 'Pod', changes: ['Added'] } }),
    message: 'a Trigger has one cause',
    right: watch({}),
  },
  {
    mistake: 'nothing to start',
    kind: 'Trigger',
    wrong: trigger({ start: { input: 1 } }),
    where: 'spec.start',
    message: 'a Trigger does one thing: set exactly one of start.workflow and start.event',
    right: trigger({ start: { ...start, input: 1 } }),
  },
  {
    mistake: 'an input for an event',
    kind: 'Trigger',
    wrong: trigger({ start: { event: { name: 'deployed' }, input: 1 } }),
    message: 'input and limits are those of a run: use event.payload, or start a workflow',
    right: trigger({ start: { event: { name: 'deployed', payload: 1 } } }),
  },
  {
    mistake: 'a schedule with seconds',
    kind: 'Trigger',
    wrong: trigger({ schedule: { cron: '0 0 6 * * *' } }),
    where: 'spec.schedule.cron',
    message: 'should match',
    right: trigger({ schedule: { cron: '0 6 * * MON-FRI', timeZone: 'America/Argentina/Buenos_Aires' } }),
  },
  {
    mistake: 'a deadline of no time',
    kind: 'Trigger',
    wrong: trigger({ schedule: { ...schedule, startingDeadline: '0s' } }),
    where: 'spec.schedule.startingDeadline',
    message: 'this must be longer than nothing: write 1s or more',
    right: trigger({ schedule: { ...schedule, startingDeadline: '10m' } }),
  },
  {
    mistake: 'a webhook open to everybody',
    kind: 'Trigger',
    wrong: webhook({ auth: {} }),
    where: 'spec.webhook.auth',
    message: 'no webhook is open to everybody: set exactly one of hmac and bearer',
    right: webhook({ auth: { bearer: { secretRef } } }),
  },
  {
    mistake: 'a webhook without a word on who may call',
    kind: 'Trigger',
    wrong: { spec: { webhook: key, start } },
    where: 'spec.webhook.auth',
    message: 'Required value',
    right: webhook({}),
  },
  {
    mistake: 'a webhook that cannot tell deliveries apart',
    kind: 'Trigger',
    wrong: { spec: { webhook: { auth: { hmac } }, start } },
    where: 'spec.webhook.idempotencyKey',
    message: 'Kadre cannot tell a delivery that comes again from a new one: set idempotencyKey',
    right: { spec: { webhook: { auth: { hmac: { ...hmac, timestampHeader: 'X-Time' } } }, start } },
  },
  {
    mistake: 'a signature that leaves the body out',
    kind: 'Trigger',
    wrong: signed({ timestampHeader: 'X-Time', signedText: 'v0:$(timestamp)' }),
    message: 'the body must be signed: let $(body) be a part of it',
    right: signed({ timestampHeader: 'X-Time', signedText: 'v0:$(timestamp):$(body)' }),
  },
  {
    mistake: 'a time that is not signed',
    kind: 'Trigger',
    wrong: signed({ timestampHeader: 'X-Time', signedText: '$(body)' }),
    where: 'spec.webhook.auth.hmac.signedText',
    message: 'a time that is not signed proves nothing',
    right: signed({ timestampHeader: 'X-Time' }),
  },
  {
    mistake: 'Secrets to watch',
    kind: 'Trigger',
    wrong: watch({ kind: 'Secret' }),
    where: 'spec.watch',
    message: 'Secrets are not watched: what is in them would end up in the inputs of runs',
    right: watch({ kind: 'ConfigMap' }),
  },
  {
    mistake: 'Secrets to watch by another name',
    kind: 'Trigger',
    wrong: watch({ kind: 'Other', resource: 'secrets' }),
    message: 'Secrets are not watched',
    right: watch({ apiVersion: 'networking.istio.io/v1', kind: 'Gateway', resource: 'gateways' }),
  },
  {
    mistake: 'a change that there is not',
    kind: 'Trigger',
    wrong: watch({ changes: ['Changed'] }),
    message: 'supported values: "Added", "Modified", "Deleted"',
    right: watch({ changes: ['Added', 'Modified', 'Deleted'] }),
  },
];
