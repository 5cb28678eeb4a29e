// What to say about a Model. Nothing is made for it: the gateway reads it as it is.
import { conditionsOf, news } from '../build/readiness.ts';
import type { ModelSnapshot } from './observe.ts';
import type { ModelStatus } from '@kadre/crds';
import type { Health } from '../kube/conditions.ts';
import type { Plan } from '../kube/plan.ts';

/** Kadre may not watch Secrets, so it looks again: soon while something is missing, now and then otherwise. */
const RECHECK_MISSING_MS = 30_000;
const RECHECK_PRESENT_MS = 300_000;

export function decideModel(snapshot: ModelSnapshot, now: Date): Plan {
  const { model, secret } = snapshot;
  if (model.metadata.deletionTimestamp !== undefined) return {};
  const health = invalid(snapshot) ?? missing(snapshot) ?? ready;
  const conditions = conditionsOf(model, health, [], now);
  const status: ModelStatus = { observedGeneration: model.metadata.generation, conditions };
  const isMissing = secret === 'absent' || secret === 'keyAbsent';
  return {
    status: { ...status },
    ...(secret !== 'unused' && { requeueAfter: isMissing ? RECHECK_MISSING_MS : RECHECK_PRESENT_MS }),
    ...news(model.status?.conditions, conditions),
  };
}

const ready: Health = { state: 'ready', reason: 'Ready', message: 'The gateway can call the model.' };

function invalid({ invalidPatterns }: ModelSnapshot): Health | undefined {
  const pattern = invalidPatterns[0];
  if (!pattern) return undefined;
  const path = `spec.simulated.script[${pattern.index}].match`;
  return {
    state: 'stalled',
    reason: 'InvalidPattern',
    message: `${path} is no regular expression (RE2): ${pattern.message}`,
  };
}

function missing({ model, secret }: ModelSnapshot): Health | undefined {
  const reference = model.spec.auth?.secretRef;
  if (!reference || secret === 'present' || secret === 'unused') return undefined;
  const where = `Secret ${reference.name} in namespace ${model.metadata.namespace ?? ''}`;
  const message =
    secret === 'absent'
      ? `There is no ${where}. Create it with the API key under the key ${reference.key}.`
      : `${where} has nothing under the key ${reference.key}. Put the API key there.`;
  return { state: 'stalled', reason: 'SecretNotFound', message };
}
