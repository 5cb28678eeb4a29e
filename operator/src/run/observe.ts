import type { Agent, Run, WorkflowSpec } from '@kadre/crds';
import type { RunProjection, RunSubmission } from '@kadre/store';
import type { Pod } from '../build/wire.ts';

/** What a Run names, as far as it is there. */
export interface Subject {
  /** The Workflow or Agent, or what stands for an inline workflow. */
  name: string;
  /** What to pin; undefined while the Workflow is not there. */
  spec?: WorkflowSpec;
  /** The Workflows that it calls, directly or not, by name; undefined for those that are not there. */
  calls: Record<string, WorkflowSpec | undefined>;
  /** What the engine finds wrong with any of them. */
  issues: { path: string; message: string }[];
  /** Agents that the run will ask, by name; undefined for those that are not there. */
  agents: Record<string, Agent | undefined>;
  /** Tools that steps call and are not there. */
  missingTools: string[];
  /** GpuPools that are named and not there. */
  missingPools: string[];
  /** An approval must come from somebody else than who asked for the run. */
  needsRequester?: boolean;
  /** The run to fork: what was submitted of it, that it has yet to begin, or that nobody knows it. */
  source?: RunSubmission | 'pending' | 'unknown';
}

/** All that a decision about a Run rests on. */
export interface RunSnapshot {
  run: Run;
  /** The engine has it. */
  submitted: boolean;
  /** Somebody has asked for it, and that it was made is still to be written down. */
  isBeingRemembered?: boolean;
  /** The engine knows that the run shall stop. */
  cancelled: boolean;
  /** The engine knows that the run shall pause. */
  suspended: boolean;
  /** What the engine says; absent until it has begun. */
  projection?: RunProjection;
  /** Looked up only before the run is submitted. */
  subject?: Subject;
  /** Pods of the run's Jobs. */
  pods: Pod[];
  /** When the status was last written or the run submitted, in milliseconds since 1970. */
  lastWrite?: number;
}
