// Runs that are asked for by those who hold no rights in Kubernetes: whoever has these makes each of them once.
import type { Failure, RunSpec } from '@kadre/crds';

/** What the asker wants run, and nothing that only people may say of a Run. */
export type RequestedRun = Pick<RunSpec, 'workflow' | 'agent' | 'input' | 'limits' | 'requestedBy'>;

export interface RunRequest {
  /** Idempotency key: names one Run, and is never used for another. */
  key: string;
  namespace: string;
  /** Deterministic name of the Run. */
  name: string;
  spec: RequestedRun;
  /** On whose behalf. When that run is over, or that attempt at its step, so is this one. */
  parent?: { run: string; name: string; step: string; attempt: number };
  /** How many runs are above this one. */
  depth: number;
  /** Milliseconds since 1970. */
  at: number;
  /** When it is wanted no more, whoever is there to say so. */
  expiresAt?: number;
}

/**
 * requested → made → over, or requested → refused. `made` is recorded after the Run was created, and from then on it is
 * never created again, whether it still exists or not.
 */
export interface RunRequestRecord extends RunRequest {
  state: 'requested' | 'made' | 'refused' | 'over';
  /** UID of the Run, from `made` on. */
  uid?: string;
  /** Why no Run was made, or why it came to nothing before it began. */
  failure?: Failure;
  /** Whoever asked wants it no more. */
  cancelled: boolean;
}

/** Why nobody wants the run any more, if so. */
export function unwantedBecause(
  { cancelled, expiresAt, parent }: RunRequestRecord,
  { parentIsOver, now }: { parentIsOver: boolean; now: number },
): string | undefined {
  if (cancelled) return 'Whoever asked for the run wants it no more.';
  if (expiresAt !== undefined && expiresAt <= now) return 'It was not over in time.';
  return parent && parentIsOver ? `Run ${parent.name}, which asked for it, is over.` : undefined;
}

export interface RunRequests {
  /** Idempotent by key: the first request counts, and comes back as it stands. */
  requestRun(request: RunRequest): Promise<RunRequestRecord>;
  /** Idempotent. Unknown ones, and those that are refused or over, are left alone. */
  cancelRunRequest(key: string): Promise<void>;
  runRequest(key: string): Promise<RunRequestRecord | undefined>;
  /** The request that a Run was made for. */
  requestOfRun(uid: string): Promise<RunRequestRecord | undefined>;

  /** Those that are neither refused nor over, oldest first. */
  openRunRequests(): Promise<RunRequestRecord[]>;
  /** Idempotent; the first UID is kept. */
  runRequestMade(key: string, uid: string): Promise<void>;
  /** Of what is not open, nothing changes. `failure`: it came to nothing before it began. */
  endRunRequest(key: string, failure?: Failure): Promise<void>;
}
