// All steps of a workflow, however deep, in a spec of which nothing is known yet.
import { isRecord } from '../expression/types.ts';

interface WalkedStep {
  step: Record<string, unknown>;
  path: string;
  /** How many lists of steps it is in. */
  depth: number;
}

interface WalkedList {
  list: readonly unknown[];
  path: string;
  depth: number;
}

/** In no particular order. Does not recurse, so that no manifest is too deep. */
function* walkLists(spec: unknown): Generator<WalkedList> {
  if (!isRecord(spec)) return;
  const waiting = listsIn(spec, ['steps', 'finally'], '', 1);
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    yield next;
    for (const { step, path, depth } of stepsOf(next)) {
      waiting.push(...listsIn(step, ['steps', 'race'], `${path}.`, depth + 1));
      if (isRecord(step.onError)) waiting.push(...listsIn(step.onError, ['fallback'], `${path}.onError.`, depth + 1));
    }
  }
}

export function* walkSteps(spec: unknown): Generator<WalkedStep> {
  for (const list of walkLists(spec)) yield* stepsOf(list);
}

function listsIn(holder: Record<string, unknown>, fields: string[], prefix: string, depth: number): WalkedList[] {
  return fields.flatMap((field) => {
    const list = holder[field];
    return Array.isArray(list) ? [{ list: list as unknown[], path: `${prefix}${field}`, depth }] : [];
  });
}

function* stepsOf({ list, path, depth }: WalkedList): Generator<WalkedStep> {
  for (const [index, step] of list.entries()) if (isRecord(step)) yield { step, path: `${path}[${index}]`, depth };
}

const MAX_DEPTH = 12;
const MAX_STEPS = 5000;

/** Whether the workflow is too large to be looked at, and why. */
export function oversize(spec: unknown): { path: string; message: string } | undefined {
  let count = 0;
  for (const { list, path, depth } of walkLists(spec)) {
    count += list.length;
    if (depth > MAX_DEPTH) {
      return {
        path,
        message: `steps nest deeper than ${MAX_DEPTH} levels: make a Workflow of the inner ones and call it`,
      };
    }
    if (count > MAX_STEPS) {
      const message = `the workflow has more than ${MAX_STEPS} steps: use forEach, or make Workflows of its parts and call them`;
      return { path: 'steps', message };
    }
  }
  return undefined;
}

/** The names of the Workflows that the steps call, on all levels. */
export function calledWorkflows(spec: unknown): string[] {
  const names = new Set<string>();
  for (const { step } of walkSteps(spec)) {
    if (isRecord(step.workflow) && typeof step.workflow.name === 'string') names.add(step.workflow.name);
  }
  return [...names].sort();
}
