// Where a case is played: an engine in this process, a laptop's program, a cluster.
import type { Run, RunStatus } from '@kadre/crds';
import type { Case, Named } from './case.ts';
import type { Decision, JobEnd, Published } from './act.ts';
import type { LoggedEvent } from './log.ts';

export interface Target {
  apply(run: Named<Run>): Promise<void>;
  /** The status of a run; undefined as long as there is none. */
  status(run: string): Promise<RunStatus | undefined>;
  /** Why a run that is over did not succeed. */
  failure(run: string): Promise<{ reason: string; message: string } | undefined>;
  /** The history of a run; undefined where it cannot be read. */
  log(run: string): Promise<LoggedEvent[] | undefined>;
  /** How often models were asked, by attempt such as draft/1; undefined where nobody counts. */
  asked(run: string): Record<string, number> | undefined;
  cancel(run: string): Promise<void>;
  suspend(run: string, suspended: boolean): Promise<void>;
  /** False: nobody is asked yet. */
  decide(decision: Decision, approved: boolean): Promise<boolean>;
  publish(event: Published): Promise<void>;
  /** False: there is no such job yet. */
  endJob(end: JobEnd): Promise<boolean>;
  /** Milliseconds, of the target's own time. */
  pass(milliseconds: number): Promise<void>;
  /** How many engines have died so far. */
  deaths(): number;
  close(): Promise<void>;
}

/** Gets everything of the case ready but its Runs. */
export type StartTarget = (one: Case) => Promise<Target>;
