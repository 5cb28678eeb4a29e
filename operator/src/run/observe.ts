import type { Agent, Run, Workflow } from '@kadre/crds';
import type { RunProjection } from '@kadre/store';
import type { Pod } from '../build/wire.ts';

/** What a Run names, as far as it is there. */
export interface Subject {
  workflow?: Workflow;
  /** What the engine finds wrong with the workflow. */
  issues: { path: string; message: string }[];
  /** Agents that the run will ask, by name; undefined for those that are not there. */
  agents: Record<string, Agent | undefined>;
  /** GpuPools that are named and not there. */
  missingPools: string[];
}

/** All that a decision about a Run rests on. */
export interface RunSnapshot {
  run: Run;
  /** The engine has it. */
  submitted: boolean;
  /** The engine knows that the run shall stop. */
  cancelled: boolean;
  /** What the engine says; absent until it has begun. */
  projection?: RunProjection;
  /** Looked up only before the run is submitted. */
  subject?: Subject;
  /** Pods of the run's Jobs. */
  pods: Pod[];
  /** When the status was last written or the run submitted, in milliseconds since 1970. */
  lastWrite?: number;
}
