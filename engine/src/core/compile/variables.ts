// The names that expressions know by their position, with what is known of their types.
import type { WorkflowSpec } from '@kadre/crds';
import {
  anyType,
  closedMap,
  failureType,
  numberType,
  oneOf,
  stringType,
  typeOfSchema,
  type Type,
} from '../expression/types.ts';

export type Variables = ReadonlyMap<string, Type>;

const identity: [string, Type][] = [
  ['name', stringType],
  ['namespace', stringType],
  ['uid', stringType],
];
const ending: [string, Type][] = [
  ['phase', oneOf(['Succeeded', 'Failed', 'Cancelled'])],
  ['failure', failureType],
];

export function runVariables({ input }: WorkflowSpec): Variables {
  const absent = new Map(ending.map(([name]) => [name, `run.${name} is known in finally only`]));
  return new Map([
    ['input', typeOfSchema(input?.schema)],
    ['run', { ...closedMap(identity), absent }],
  ]);
}

/** Those of the steps in `finally`, who know how the run ended. */
export function finalVariables(variables: Variables): Variables {
  return withVariables(variables, { run: closedMap([...identity, ...ending]) });
}

export function elementVariables(variables: Variables, as: string, items: Type): Variables {
  return withVariables(variables, { [as]: items.element ?? anyType, index: numberType });
}

export function roundVariables(variables: Variables): Variables {
  return withVariables(variables, { round: numberType, previous: anyType });
}

export function withVariables(variables: Variables, more: Record<string, Type>): Variables {
  return new Map([...variables, ...Object.entries(more)]);
}
