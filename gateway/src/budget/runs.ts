// What a run may use: the tighter of its workflow's limits and its own. A submission never changes, so it is read once.
import { nanoUsd, type RunLimits } from '@kadre/crds';
import { BoundedMap, type Amount, type Store } from '@kadre/store';

export interface KnownRun {
  /** Name of the Workflow, or of the Agent that is asked. */
  subject: string;
  name: string;
  /** Who asked for it, if they said so. */
  requestedBy: string | null;
  limit: Partial<Amount>;
  /** The runs that have asked for it, one through the other: what it uses is used by them. */
  above: readonly { uid: string; limit: Partial<Amount> }[];
}

export type Runs = (uid: string) => KnownRun | undefined | Promise<KnownRun | undefined>;

const MOST_KEPT = 10_000;

export type RunStore = Pick<Store, 'submission' | 'requestOfRun'>;

/** Answers at once for runs that are known already; `undefined` for one that was never submitted. */
export function createRuns(store: RunStore): Runs {
  const known = new BoundedMap<string, KnownRun>(MOST_KEPT);
  const reading = new Map<string, Promise<KnownRun | undefined>>();

  const read = async (uid: string): Promise<KnownRun | undefined> => {
    const [submission, request] = await Promise.all([store.submission(uid), store.requestOfRun(uid)]);
    if (!submission) return undefined;
    const { limits: ofWorkflow } = (submission.workflow ?? {}) as { limits?: RunLimits };
    const parent = request?.parent && (await find(request.parent.run));
    const run = {
      subject: submission.subject,
      name: submission.name,
      requestedBy: submission.requestedBy ?? null,
      limit: tighter(ofWorkflow, submission.limits as RunLimits | undefined),
      above: request?.parent && parent ? [{ uid: request.parent.run, limit: parent.limit }, ...parent.above] : [],
    };
    known.set(uid, run);
    return run;
  };

  const find: Runs = (uid) => {
    const run = known.get(uid);
    if (run) return run;
    const pending = reading.get(uid) ?? read(uid).finally(() => reading.delete(uid));
    reading.set(uid, pending);
    return pending;
  };
  return find;
}

function tighter(...limits: (RunLimits | undefined)[]): Partial<Amount> {
  const costs = limits.flatMap((limit) => (limit?.costUsd === undefined ? [] : [nanoUsd(limit.costUsd)]));
  const tokens = limits.flatMap((limit) => limit?.tokens ?? []);
  return {
    ...(costs.length > 0 && { costNanoUsd: Math.min(...costs) }),
    ...(tokens.length > 0 && { tokens: Math.min(...tokens) }),
  };
}
