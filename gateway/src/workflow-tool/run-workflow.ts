// Calls of Tools that are Workflows: each asks for one Run, which the operator makes, and waits until it is over. Asked again
// under the same number, at whatever gateway, a call joins the Run that it has asked for before.
import { WORKFLOW_TOOL_DEPTH } from '@kadre/crds';
import { objectName, type RunRequest, type RunRequestRecord, type Store } from '@kadre/store';
import { failure, toolTimeoutMs, ToolError, type RunWorkflow, type ToolAnswer, type ToolCaller } from '@kadre/tools';
import type { Clock } from '../options.ts';

export type RunRequestStore = Pick<
  Store,
  'requestRun' | 'runRequest' | 'requestOfRun' | 'cancelRunRequest' | 'submission' | 'projection' | 'subscribe'
>;

/** Hints may be lost. */
const POLL_MS = 5_000;

/** Throws a ToolError, or the reason of the signal. */
export function createRunWorkflow(store: RunRequestStore, clock: Clock): RunWorkflow {
  return async ({ tool, signal }, { args, idempotencyKey, caller }) => {
    const name = tool.spec.workflow?.name ?? '';
    const step = caller?.step;
    const above = step && (await kept(() => parentOf(store, step)));
    if (step && !above) throw new ToolError('misconfigured', 'The run of this call is not known any more.');
    const depth = (above?.depth ?? 0) + 1;
    if (depth > WORKFLOW_TOOL_DEPTH) {
      return failure(`${WORKFLOW_TOOL_DEPTH} runs in a row have asked for each other already, which is the most.`);
    }
    const timeoutMs = toolTimeoutMs(tool.spec);
    const now = clock.now();
    const request: RunRequest = {
      key: `tool/${idempotencyKey}`,
      namespace: tool.metadata.namespace ?? '',
      name: objectName(name, idempotencyKey),
      spec: {
        workflow: { name },
        input: args,
        ...(above?.requestedBy !== undefined && { requestedBy: above.requestedBy }),
      },
      ...(above && { parent: above.parent }),
      ...{ depth, at: now, expiresAt: now + timeoutMs },
    };
    const asked = await kept(() => store.requestRun(request));
    try {
      return await answerOf(store, clock, asked, signal);
    } catch (error) {
      // A step that hangs up may have lost its pod, and asks again; whoever else does wants no answer any more.
      if (!step || !signal.aborted) await store.cancelRunRequest(request.key).catch(() => undefined);
      throw error;
    }
  };
}

async function parentOf(store: RunRequestStore, { run, step, attempt }: NonNullable<ToolCaller['step']>) {
  const [submission, request] = await Promise.all([store.submission(run), store.requestOfRun(run)]);
  if (!submission) return undefined;
  const { name, requestedBy } = submission;
  return { parent: { run, name, step, attempt }, depth: request?.depth ?? 0, requestedBy };
}

async function answerOf(
  store: RunRequestStore,
  clock: Clock,
  { key, name, expiresAt = Infinity }: RunRequestRecord,
  signal: AbortSignal,
): Promise<ToolAnswer> {
  for (let uid: string | undefined; ;) {
    // Listened for before it is looked at, so that nothing happens in between.
    const change = changeOf(store, clock, { key, uid, ms: Math.min(POLL_MS, expiresAt - clock.now()) }, signal);
    try {
      const record = await kept(() => store.runRequest(key));
      const answer = record ? await kept(() => outcomeOf(store, record)) : unknownRun(name);
      if (answer) return answer;
      if (clock.now() >= expiresAt) {
        throw new ToolError('timeout', `Run ${name} was not over in time, and is cancelled.`, { sent: true });
      }
      if (uid === record?.uid) await change.happened;
      uid = record?.uid;
    } finally {
      change.stop();
    }
  }
}

const unknownRun = (name: string): ToolAnswer => failure(`Nothing is known of Run ${name} any more.`);

async function outcomeOf(store: RunRequestStore, record: RunRequestRecord): Promise<ToolAnswer | undefined> {
  const { name, state, uid } = record;
  const projection = uid === undefined ? undefined : await store.projection(uid);
  const { phase, output } = projection?.status ?? {};
  if (phase === 'Succeeded') return succeeded(output);
  const isOver = phase === 'Failed' || phase === 'Cancelled';
  if (isOver || state === 'refused') {
    const { reason, message } = (isOver ? projection?.failure : record.failure) ?? { reason: 'Cancelled', message: '' };
    return failure(`Run ${name} failed (${reason}): ${message}`);
  }
  return state === 'over' ? unknownRun(name) : undefined;
}

function succeeded(output: unknown): ToolAnswer {
  if (typeof output === 'string') return { content: [{ type: 'text', text: output }], isError: false };
  const structured = output ?? null;
  return { content: [{ type: 'text', text: JSON.stringify(structured) }], isError: false, structured };
}

/** Happens after a while at the latest; rejects with the reason of the signal. */
function changeOf(
  store: RunRequestStore,
  clock: Clock,
  { key, uid, ms }: { key: string; uid: string | undefined; ms: number },
  signal: AbortSignal,
): { happened: Promise<void>; stop(): void } {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const wake = (): void => resolve(undefined);
  const leave = (): void => reject(signal.reason as Error);
  const wakeFor = (wanted: string | undefined) => (changed: string) => {
    if (changed === wanted || changed === '') wake();
  };
  const stops = [
    store.subscribe('run-requests', wakeFor(key)),
    store.subscribe('projections', wakeFor(uid)),
    clock.after(Math.max(ms, 0), wake),
  ];
  // Whoever stops before it happens does not look at it.
  promise.catch(() => undefined);
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  return {
    happened: promise,
    stop: () => {
      for (const stop of stops) stop();
      signal.removeEventListener('abort', leave);
    },
  };
}

async function kept<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new ToolError('unreachable', 'The store cannot be reached just now.', { retry: true, cause });
  }
}
