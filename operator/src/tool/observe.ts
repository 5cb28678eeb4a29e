// Finds out what is known of a Tool: what is wrong with its rules, whether its Secret is there, and what its server says, if it is
// time to ask it.
import { toolExpressions, toolSecret, type Tool } from '@kadre/crds';
import { compileRule, ToolError, type Toolbox } from '@kadre/tools';
import { dueAt, isRemote, type Look, type ServerParts, type ToolSnapshot } from './snapshot.ts';
import type { Clock } from '../kube/index.ts';

/** Reads a Secret; undefined if there is none. */
type ReadSecret = (namespace: string, name: string) => Promise<Record<string, string> | undefined>;

export interface Observer {
  /** Whether the server that Kadre runs cannot be asked yet. */
  isDown: boolean;
  server: ServerParts;
  describe: Toolbox['describe'];
  readSecret: ReadSecret;
  clock: Clock;
}

/** However long calls may take: who is asked what it can do should know. */
const LOOK_MS = 15_000;

/** `before`: the last look at a Tool of this name, if there was one. */
export async function observeTool(
  tool: Tool,
  before: Look | undefined,
  observer: Observer,
  signal: AbortSignal,
): Promise<ToolSnapshot> {
  const { server, isDown } = observer;
  const ruleProblems = problemsOf(tool);
  const secret = await secretState(tool, observer.readSecret);
  if (ruleProblems.length > 0 || secret === 'absent' || secret === 'keyAbsent')
    return { tool, secret, ruleProblems, server };
  const { uid, generation } = tool.metadata;
  const same = before?.uid === uid && before.generation === generation ? before : undefined;
  const isDue = !same || (dueAt(same) <= observer.clock.now() && (isRemote(tool) || same.error !== undefined));
  const look = isDue && !isDown ? await lookAt(tool, same, observer, signal) : same;
  return { tool, secret, ruleProblems, server, ...(look && { look }) };
}

function problemsOf({ spec }: Tool): ToolSnapshot['ruleProblems'] {
  return toolExpressions(spec).flatMap(({ text, path }) => {
    const compiled = compileRule(text);
    return 'problem' in compiled ? [{ path, message: compiled.problem }] : [];
  });
}

async function secretState(tool: Tool, readSecret: ReadSecret): Promise<ToolSnapshot['secret']> {
  const reference = toolSecret(tool.spec);
  if (!reference) return 'unused';
  const secret = await readSecret(tool.metadata.namespace ?? '', reference.name);
  if (!secret) return 'absent';
  return secret[reference.key] ? 'present' : 'keyAbsent';
}

async function lookAt(tool: Tool, before: Look | undefined, observer: Observer, signal: AbortSignal): Promise<Look> {
  const { clock } = observer;
  const { uid, generation, namespace = '' } = tool.metadata;
  const late = new AbortController();
  const seconds = LOOK_MS / 1000;
  const cancel = clock.after(LOOK_MS, () =>
    late.abort(new ToolError('timeout', `It did not say within ${seconds}s what it can do.`, { retry: true })),
  );
  const look = { at: clock.now(), uid, generation };
  try {
    const described = await observer.describe(
      tool,
      secretOf(namespace, observer),
      AbortSignal.any([signal, late.signal]),
    );
    return { ...look, failures: 0, described };
  } catch (error) {
    // The operator stops, and has learned nothing.
    if (signal.aborted || !(error instanceof ToolError)) throw error;
    const { described, failures = 0 } = before ?? {};
    const { fault, message, retry } = error;
    return { ...look, failures: failures + 1, ...(described && { described }), error: { fault, message, retry } };
  } finally {
    cancel();
  }
}

function secretOf(namespace: string, { readSecret }: Observer): Parameters<Toolbox['describe']>[1] {
  return async (name, key) => {
    const value = (await readSecret(namespace, name))?.[key];
    if (value === undefined) throw new ToolError('misconfigured', `Secret ${name} has nothing under the key ${key}.`);
    return value;
  };
}
