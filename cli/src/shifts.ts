// Which roles a command runs, and which of them only in the one replica that leads.
import type { RoleName } from './role-name.ts';

export type CommandName = 'all' | 'operator' | 'engine' | 'gateway' | 'server';

export interface Shifts {
  /** At work from the first moment, in every replica. */
  always: readonly RoleName[];
  /** At work in one replica at a time; without any there is no election. */
  leading: readonly RoleName[];
  /** Whether a replica that has lost the lease goes on with the rest and stands again; else its process ends. */
  goesOn: boolean;
}

/** What writes to Kubernetes, and what tidies the store. Engines keep apart by their seats in the store. */
const led = ['operator', 'janitor'] as const;

/** @param shared whether the store is a database, which several processes may use */
export function shiftsOf(command: CommandName, shared: boolean): Shifts {
  if (command === 'operator') return { always: [], leading: led, goesOn: false };
  if (command !== 'all') return { always: [command], leading: [], goesOn: false };
  if (shared) return { always: ['gateway', 'server', 'engine'], leading: led, goesOn: true };
  // A store in a file has a single seat for engines, and who leads has it.
  return { always: ['gateway', 'server'], leading: ['engine', ...led], goesOn: false };
}
