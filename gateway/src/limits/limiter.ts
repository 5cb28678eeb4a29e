// Holds calls to what each Model bears, and away from Models that fail. Per Model a gate; nothing of it is kept anywhere
// else, so after a restart a gateway begins with full buckets and closed breakers.
import { isProviderModel, type ProviderModel } from '@kadre/crds';
import type { Registry } from 'prom-client';
import type { Clock, ModelSource } from '../options.ts';
import type { Limiter } from '../pipeline/hooks.ts';
import { forgetIdle } from './forget-idle.ts';
import { Gate, type GateSurroundings } from './gate.ts';
import type { Share } from './limits.ts';
import { createLimitMetrics } from './metrics.ts';
import { Waiting } from './waiting.ts';

interface LimiterOptions {
  models: ModelSource;
  clock: Clock;
  /** Milliseconds that one call may take. */
  callMs: number;
  /** Absent: there is no other gateway. */
  share?: () => Share;
  registry?: Registry | undefined;
  random?: () => number;
}

/** Models that are known at a time; of those beyond it the oldest that nobody asks just now is forgotten. */
const MOST_GATES = 4_096;
const ALONE: Share = { rank: 0, of: 1 };

export function createLimiter(options: LimiterOptions): Required<Limiter> {
  const { models, clock, callMs, share = () => ALONE, registry, random = Math.random } = options;
  const gates = new Map<string, Gate>();
  /** A Model is another object when it has changed, so that one look-up tells both. */
  const known = new WeakMap<ProviderModel, Gate>();
  const latest = (namespace: string, name: string): ProviderModel | undefined => {
    const model = models.get(namespace, name);
    return model && isProviderModel(model) ? model : undefined;
  };
  const present = function* (): Generator<Gate> {
    for (const [key, gate] of gates) {
      const { namespace = '', name } = gate.model.metadata;
      if (gate.idle && !latest(namespace, name)) gates.delete(key);
      else yield gate;
    }
  };
  const metrics = registry && createLimitMetrics(registry, present);
  const around: GateSurroundings = { clock, callMs, share, random, metrics, latest, waiting: new Waiting() };

  const gateOf = (model: ProviderModel): Gate => {
    const { namespace = '', name, uid } = model.metadata;
    const key = `${namespace}/${name}`;
    const found = gates.get(key);
    const gate = found && found.model.metadata.uid === uid ? found : new Gate(model, around);
    if (gate !== found) gates.set(key, gate);
    forgetIdle(gates, MOST_GATES);
    gate.follow(model);
    known.set(model, gate);
    return gate;
  };

  return {
    acquire: (attempt) => {
      const { model } = attempt.candidate;
      return (known.get(model) ?? gateOf(model)).acquire(attempt);
    },
    available: (model) => (known.get(model) ?? gateOf(model)).available(),
  };
}
