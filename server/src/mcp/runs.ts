// Calls as Runs: each asks for one, which the operator makes, and waits until it is over.
import { objectName, runEnd, type RunEnd, type RunRequest, type RunRequestRecord } from '@kadre/store';
import { createHash, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from './clock.ts';
import type { McpStore, McpUser } from './options.ts';
import { answer, problem, type Call, type Result } from './result.ts';

interface Asker {
  store: McpStore;
  user: McpUser;
  namespace: string;
  /** Aborts when the client hangs up, or the server stops. */
  gone: AbortSignal;
  report: (error: unknown) => void;
}

/** A Run is wanted no more when nobody has come back for it by then. */
const LONGEST_MS = 24 * 3_600_000;

/** Rejects only when nobody waits any more. */
export function createRuns({ store, user, namespace, gone, report }: Asker): (call: Call) => Promise<Result> {
  return async ({ name, spec, signal: unwanted, named, ...progress }) => {
    const key = keyOf(user.username, namespace, name, named ?? randomUUID());
    const at = systemClock.now();
    const request: RunRequest = {
      ...{ key, namespace, name: objectName(name.replace(/^[a-z]+_/, ''), key) },
      spec: { ...spec, requestedBy: user.username },
      ...{ depth: 0, at, expiresAt: at + LONGEST_MS },
    };
    const signal = AbortSignal.any([gone, unwanted]);
    try {
      const asked = await store.requestRun(request);
      if (!isDeepStrictEqual(asked.spec, request.spec))
        return problem('Something else was called under this name of a call: choose another.');
      return resultOf(asked, await runEnd(store, asked, { clock: systemClock, signal, ...progress }));
    } catch (error) {
      // Whoever has named the call can come back for it; nobody else can.
      const isWanted = named !== undefined && (gone.aborted || !unwanted.aborted);
      if (!isWanted) await store.cancelRunRequest(key).catch(report);
      if (signal.aborted) throw error;
      report(error);
      return problem('The store cannot be reached just now: call again later.');
    }
  };
}

const keyOf = (...parts: string[]): string => `mcp/${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`;

function resultOf({ name }: RunRequestRecord, end: RunEnd): Result {
  if (end === 'late') return problem(`Run ${name} was not over in time, and is cancelled.`);
  if ('failure' in end) return problem(`Run ${name} failed (${end.failure.reason}): ${end.failure.message}`);
  return answer(end.output);
}
