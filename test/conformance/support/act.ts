// What happens outside a run while it is under way: the lines of a script.yaml.
import type { FailureReason } from '@kadre/crds';

export type Act =
  /** Applies a Run, or all that are not applied yet. */
  | { apply: string }
  /** Waits until the run, or one of its steps, is in that phase. */
  | { reached: { run: string; step?: string; phase: string } }
  /** Waits until the run is over. */
  | { over: string }
  | { cancel: string }
  | { suspend: string }
  | { resume: string }
  | { approve: Decision }
  | { reject: Decision }
  | { publish: Published }
  /** Lets time pass. */
  | { pass: string }
  /** How a pod ends, where there are no pods. */
  | { job: JobEnd };

export interface Decision {
  run: string;
  step: string;
  by: string;
  /** Of whoever decides. */
  groups?: string[];
  answer?: unknown;
}

export interface Published {
  name: string;
  id: string;
  payload: unknown;
}

export interface JobEnd {
  run: string;
  step: string;
  output?: unknown;
  failure?: FailureReason;
}
