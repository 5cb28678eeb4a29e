import type { Callees } from './callee.ts';
import type { Bound } from './durations.ts';
import type { Outline } from './outline.ts';
import type { Variables } from './variables.ts';

/** What holds for the steps of a list. */
export interface Surroundings {
  outline: Outline;
  callees: Callees;
  variables: Variables;
  /** Absent: they have all the time in the world. */
  bound?: Bound;
  /** Paths of the steps with fields that do not exist. */
  mistyped: ReadonlySet<string>;
}
