import { RE2JS } from 're2js';
import { isRoute, routedModels, type Model } from '@kadre/crds';
import { conditionNow } from '../build/readiness.ts';

/** All that a decision about a Model rests on. */
export interface ModelSnapshot {
  model: Model;
  /** `unused`: the model names no Secret. Of the Secret itself nothing is kept. */
  secret: 'unused' | 'present' | 'absent' | 'keyAbsent';
  /** Patterns of the script that are not regular expressions. */
  invalidPatterns: { index: number; message: string }[];
  /** Of a route alone. */
  route?: RouteSnapshot;
}

export interface RouteSnapshot {
  /** What is wrong with its rule. */
  ruleProblem?: string;
  /** All that it names. */
  named: {
    name: string;
    /** Of the field, within the route. */
    path: string;
    /** `unready`: its own status says that it cannot be called. */
    is: 'usable' | 'absent' | 'route' | 'unready';
  }[];
}

/** Where to look. */
export interface ModelSurroundings {
  readSecret: ReadSecret;
  ruleProblem: (rule: string) => Promise<string | undefined>;
  /** Another Model of the namespace. */
  find: (name: string) => Model | undefined;
}

/** Reads a Secret; undefined if there is none. */
export type ReadSecret = (namespace: string, name: string) => Promise<Record<string, string> | undefined>;

export async function observeModel(model: Model, around: ModelSurroundings): Promise<ModelSnapshot> {
  return {
    model,
    secret: await secretState(model, around.readSecret),
    invalidPatterns: invalidPatterns(model),
    ...(isRoute(model) && { route: await routeSnapshot(model.spec.route, around) }),
  };
}

async function routeSnapshot(
  route: NonNullable<Model['spec']['route']>,
  { ruleProblem, find }: ModelSurroundings,
): Promise<RouteSnapshot> {
  const rule = route.complexity?.rule;
  const problem = rule === undefined ? undefined : await ruleProblem(rule);
  return {
    ...(problem !== undefined && { ruleProblem: problem }),
    named: routedModels(route).map((one) => ({ ...one, is: stateOf(find(one.name)) })),
  };
}

function stateOf(model: Model | undefined): RouteSnapshot['named'][number]['is'] {
  if (!model) return 'absent';
  if (isRoute(model)) return 'route';
  return conditionNow(model, 'Ready')?.status === 'False' ? 'unready' : 'usable';
}

async function secretState(model: Model, readSecret: ReadSecret): Promise<ModelSnapshot['secret']> {
  const reference = model.spec.auth?.secretRef;
  if (!reference) return 'unused';
  const secret = await readSecret(model.metadata.namespace ?? '', reference.name);
  if (!secret) return 'absent';
  return secret[reference.key] ? 'present' : 'keyAbsent';
}

function invalidPatterns(model: Model): ModelSnapshot['invalidPatterns'] {
  const script = model.spec.simulated?.script ?? [];
  return script.flatMap(({ match }, index) => {
    const message = match === undefined ? undefined : patternError(match);
    return message === undefined ? [] : [{ index, message }];
  });
}

/** The same engine that the gateway matches with, so that both agree on what is a pattern. */
function patternError(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
