// What the contract's tests write into a store.
import type {
  ApprovalRequest,
  JobRequest,
  PublishedEvent,
  RunProjection,
  RunSubmission,
  Store,
  UsageRecord,
} from '../store.ts';

export interface StoreUnderTest {
  /** A fresh store; `reopen` closes it and opens the same one again; `second` opens it once more beside the first. */
  store: Store;
  reopen: () => Promise<Store>;
  second: () => Promise<Store>;
  cleanUp: () => Promise<void>;
}

export const submission = (uid: string): RunSubmission => ({
  uid,
  namespace: 'team',
  name: `run-${uid}`,
  subject: 'article',
  workflow: { steps: [{ name: 'a', agent: { name: 'x' } }] },
  input: { topics: ['é', 1.5, null] },
});

export const projection = (uid: string, progress: string): Omit<RunProjection, 'version'> => ({
  uid,
  namespace: 'team',
  name: `run-${uid}`,
  status: { phase: 'Running', progress },
});

export const job = (run: string, step: string): JobRequest => ({
  key: `${run}/${step}/1`,
  run: { uid: run, namespace: 'team', name: `run-${run}` },
  step,
  attempt: 1,
  name: `job-${step}`,
  timeoutMs: 1000,
  work: { container: { image: 'busybox' } },
});

export const approval = (run: string, step: string): ApprovalRequest => ({
  key: `${run}/${step}/1`,
  run: { uid: run, namespace: 'team', name: `run-${run}` },
  step,
  attempt: 1,
  name: `approval-${step}`,
  message: 'Send it?',
  policy: { groups: ['editors'] },
  requestedBy: 'ann',
  expiresAt: 1_700_000_900_000,
});

export const publication = (id: string, at: number, name = 'paid'): PublishedEvent => ({
  id,
  namespace: 'team',
  name,
  payload: { order: id },
  at,
});

export const event = (type: string, data: unknown = {}) => ({ at: 1_700_000_000_000, type, data });

export const usage = (id: string, costNanoUsd: number | null, step = 's'): UsageRecord => ({
  id,
  at: 1,
  namespace: 'team',
  agent: 'writer',
  model: 'smart',
  run: { uid: 'u1', step, attempt: 1 },
  inputTokens: 10,
  outputTokens: 2,
  costNanoUsd,
});

/** Looks again and again until there is something to see. */
export async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
