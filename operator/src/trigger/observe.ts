import type { Run, Trigger, TriggerStatus } from '@kadre/crds';
import type { Outcome } from './begin.ts';
import type { Due } from './schedule.ts';

/** All that a decision about a Trigger rests on. */
export interface TriggerSnapshot {
  trigger: Trigger;
  /** What is wrong with its expressions and its schedule. */
  issues: { path: string; message: string }[];
  /** Of the Secret itself nothing is kept. */
  secret: 'unused' | 'present' | 'absent' | 'keyAbsent';
  /** The Workflow that it starts is not there. */
  workflowMissing: boolean;
  /** Why what it names cannot be watched. */
  noAccess?: { reason: string; message: string };
  /** Its Runs. */
  runs: readonly Readonly<Run>[];
  /** What was started, or refused, in this turn. */
  outcomes: readonly Outcome[];
  schedule?: { due: Due; next: number | undefined };
  /** How far a watch has come, as it is to be written. */
  watched?: NonNullable<TriggerStatus['watched']>;
  /** How long finished Runs serve as memory, in milliseconds. */
  remember: number;
  /** Where the webhook takes requests. */
  url?: string;
}
