// What a Trigger starts for one delivery, time or change: always the same, under the same name. So whoever tries twice,
// be it after a crash or in two replicas at once, finds that it is done.
import { createHash } from 'node:crypto';
import { annotations, API_VERSION, labels, MANAGER, type RunSpec, type Trigger } from '@kadre/crds';
import type { PublishedEvent } from '@kadre/store';
import { ExpressionError } from '../core/expression/errors.ts';
import type { Values } from '../core/expression/node.ts';
import { checkSize, TemplateError, type Template } from '../core/expression/template.ts';
import type { Json } from '../core/expression/values.ts';
import type { TriggerPlan } from './plan.ts';

/** Why nothing can be started for what happened; the message names the field and how to mend it. */
export class TriggerError extends Error {
  override name = 'TriggerError';
}

/** A Run as it is created. */
export interface RunManifest {
  apiVersion: string;
  kind: 'Run';
  metadata: {
    name: string;
    namespace: string;
    labels: Record<string, string>;
    annotations: Record<string, string>;
  };
  spec: RunSpec;
}

export type Start = { run: RunManifest } | { event: PublishedEvent };

/** What happened, under the names that expressions know. */
export type Happening = Record<string, Json>;

export interface Cause {
  /** Tells this cause from all others of the Trigger. */
  key: string;
  /** For people, in one line. */
  text: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** How much of an object, as JSON, etcd and the API server take with ease. */
const MAX_CHARACTERS = 256 * 1024;

/** Throws {@link TriggerError}. */
export function passes(trigger: Trigger, { filter }: TriggerPlan, happening: Happening): boolean {
  if (!filter) return true;
  const value = evaluate(trigger, filter, happening);
  if (typeof value === 'boolean') return value;
  throw new TriggerError(`spec.${trigger.spec.webhook ? 'webhook' : 'watch'}.filter: must be true or false`);
}

/** What tells a delivery from another; undefined if the Trigger does not say. Throws {@link TriggerError}. */
export function deliveryKey(trigger: Trigger, { key }: TriggerPlan, happening: Happening): string | undefined {
  if (!key) return undefined;
  const text = evaluate(trigger, key, happening);
  if (text.length > 0 && text.length <= 1024) return text;
  throw new TriggerError(`spec.webhook.idempotencyKey: must be a text of 1 to 1024 characters, not ${text.length}`);
}

/** Throws {@link TriggerError}. */
export function startOf(trigger: Trigger, plan: TriggerPlan, cause: Cause, happening: Happening): Start {
  const { metadata, spec } = trigger;
  const namespace = metadata.namespace ?? '';
  const { workflow, limits, event } = spec.start;
  const data = plan.data && sized(trigger, plan.data, happening);
  if (event) {
    const id = `trigger/${metadata.uid}/${digest(metadata.uid, cause.key)}`;
    return { event: { id, namespace, name: event.name, payload: data ?? null, at: cause.at } };
  }
  const run: RunManifest = {
    apiVersion: API_VERSION,
    kind: 'Run',
    metadata: {
      name: startName(metadata, cause.key),
      namespace,
      labels: { [labels.managedBy]: MANAGER, [labels.trigger]: metadata.name, [labels.triggerUid]: metadata.uid },
      annotations: { [annotations.cause]: cause.text.slice(0, 1024) },
    },
    spec: {
      ...(workflow && { workflow: { name: workflow.name } }),
      ...(data !== undefined && { input: data }),
      ...(limits && { limits }),
    },
  };
  return { run };
}

/** `<trigger>-<digest>`: a DNS label, the same for the same Trigger and key. */
export function startName({ name, uid }: { name: string; uid: string }, key: string): string {
  return `${name.slice(0, 46).replace(/-+$/, '')}-${digest(uid, key)}`;
}

/** 80 bits of a hash in 16 characters of 0-9 and a-v. */
function digest(uid: string, key: string): string {
  const hex = createHash('sha256').update(`${uid}\n${key}`).digest('hex').slice(0, 20);
  return BigInt(`0x${hex}`).toString(32).padStart(16, '0');
}

function sized(trigger: Trigger, template: Template, happening: Happening): Json {
  const value = evaluate(trigger, template, happening);
  try {
    checkSize(value, MAX_CHARACTERS);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const path = trigger.spec.start.event ? 'spec.start.event.payload' : 'spec.start.input';
    throw new TriggerError(`${path}: ${error.message}; take over only the fields that are needed`);
  }
  return value;
}

function evaluate<T>(trigger: Trigger, template: { evaluate: (values: Values) => T }, happening: Happening): T {
  const { name, namespace = '' } = trigger.metadata;
  const known: Happening = { ...happening, trigger: { name, namespace } };
  const values: Values = {
    variable: (variable: string): Json => known[variable] ?? null,
    step: (): never => {
      throw new ExpressionError('a Trigger has no steps');
    },
  };
  try {
    return template.evaluate(values);
  } catch (error) {
    if (error instanceof TemplateError) throw new TriggerError(error.message);
    throw error;
  }
}
