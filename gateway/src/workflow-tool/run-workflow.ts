// Calls of Tools that are Workflows: each asks for one Run, which the operator makes, and waits until it is over. Asked again
// under the same number, at whatever gateway, a call joins the Run that it has asked for before.
import { WORKFLOW_TOOL_DEPTH } from '@kadre/crds';
import { objectName, runEnd, type RunEnd, type RunRequest, type RunRequestRecord, type Store } from '@kadre/store';
import { failure, toolTimeoutMs, ToolError, type RunWorkflow, type ToolAnswer, type ToolCaller } from '@kadre/tools';
import type { Clock } from '../options.ts';

export type RunRequestStore = Pick<
  Store,
  'requestRun' | 'runRequest' | 'requestOfRun' | 'cancelRunRequest' | 'submission' | 'projection' | 'subscribe'
>;

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
      const end = await runEnd(store, asked, { clock, signal }).catch((cause: unknown) => {
        if (signal.aborted) throw signal.reason;
        throw away(cause);
      });
      return answerOf(asked, end);
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

function answerOf({ name }: RunRequestRecord, end: RunEnd): ToolAnswer {
  if (end === 'late')
    throw new ToolError('timeout', `Run ${name} was not over in time, and is cancelled.`, { sent: true });
  if ('failure' in end) return failure(`Run ${name} failed (${end.failure.reason}): ${end.failure.message}`);
  const { output } = end;
  if (typeof output === 'string') return { content: [{ type: 'text', text: output }], isError: false };
  return { content: [{ type: 'text', text: JSON.stringify(output) }], isError: false, structured: output };
}

async function kept<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw away(cause);
  }
}

const away = (cause: unknown): ToolError =>
  new ToolError('unreachable', 'The store cannot be reached just now.', { retry: true, cause });
