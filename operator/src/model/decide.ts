// What to say about a Model. Nothing is made for it: the gateway reads it as it is.
import { conditionsOf, news, type Fact } from '../build/readiness.ts';
import type { ModelSnapshot, RouteSnapshot } from './observe.ts';
import type { ModelStatus } from '@kadre/crds';
import type { Health } from '../kube/conditions.ts';
import type { Plan } from '../kube/plan.ts';

/** Kadre may not watch Secrets, so it looks again: soon while something is missing, now and then otherwise. */
const RECHECK_MISSING_MS = 30_000;
const RECHECK_PRESENT_MS = 300_000;

export function decideModel(snapshot: ModelSnapshot, now: Date): Plan {
  const { model, secret } = snapshot;
  if (model.metadata.deletionTimestamp !== undefined) return {};
  const health = invalid(snapshot) ?? missing(snapshot) ?? healthOfRoute(snapshot) ?? ready;
  const conditions = conditionsOf(model, health, completeness(snapshot), now);
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

/** A route is ready as long as one Model can answer: the gateway passes over the others. */
function healthOfRoute({ route }: ModelSnapshot): Health | undefined {
  if (!route) return undefined;
  if (route.ruleProblem !== undefined) {
    const message = `spec.route.complexity.rule cannot be used: ${route.ruleProblem}`;
    return { state: 'stalled', reason: 'InvalidRule', message };
  }
  const candidates = route.named.filter(isCandidate);
  const usable = candidates.filter(({ is }) => is === 'usable').length;
  const missing = missingIn(route);
  if (usable > 0) {
    const message = `The gateway can call ${usable} of ${candidates.length} Models.`;
    return { state: 'ready', reason: 'Ready', message: [message, ...missing].join(' ') };
  }
  const unready = candidates.some(({ is }) => is === 'unready');
  return { state: 'stalled', reason: unready ? 'ModelNotReady' : 'ModelNotFound', message: missing.join(' ') };
}

/** Whether all that the route names can be called, its judge and its like included. */
function completeness({ route }: ModelSnapshot): Fact[] {
  if (!route) return [];
  const missing = missingIn(route);
  if (missing.length === 0) {
    return [
      { type: 'Complete', status: 'True', reason: 'Complete', message: 'All Models of the route can be called.' },
    ];
  }
  const unready = route.named.every(({ is }) => is === 'usable' || is === 'unready');
  const reason = unready ? 'ModelNotReady' : 'ModelNotFound';
  return [{ type: 'Complete', status: 'False', reason, message: missing.join(' ') }];
}

const isCandidate = ({ path }: RouteSnapshot['named'][number]): boolean => path.startsWith('candidates');

const remedies = {
  absent: 'is not there: create it',
  route: 'is a route itself: name one of its Models',
  unready: 'is not ready: see its status',
} as const;

const missingIn = ({ named }: RouteSnapshot): string[] =>
  named.flatMap(({ name, path, is }) =>
    is === 'usable' ? [] : [`Model ${name} (spec.route.${path}) ${remedies[is]}.`],
  );
