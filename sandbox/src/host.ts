// Where sandboxes come from: pods on a cluster, processes on a laptop.
import type { SandboxSpec } from '@kadre/crds';
import type { SandboxEnd, SandboxJob, SandboxOutput } from './protocol.ts';

/** On whose behalf code runs. */
export interface SandboxCaller {
  namespace: string;
  /** The Agent; absent for a step of a Workflow that is code itself. */
  agent?: string;
  step?: { run: string; step: string; attempt: number; call: number };
}

export interface SandboxCall {
  caller: SandboxCaller;
  /** The Tool whose sandboxes these are; absent for a step of a Workflow. */
  tool?: string;
  /** Stable over retries, so that a call that is made again claims no second sandbox. */
  idempotencyKey: string;
  signal: AbortSignal;
  onOutput?: (piece: SandboxOutput) => void;
}

export interface SandboxHost {
  /**
   * Runs one program in a sandbox of its own.
   *
   * @returns how it ended, also if it was stopped at a limit
   * @throws SandboxFailure if it is not known how it ended; the signal's reason if that ended it
   */
  run(spec: SandboxSpec, job: SandboxJob, call: SandboxCall): Promise<SandboxEnd>;
}
