// What can go wrong with a sandbox, as against the program in it.

export type SandboxFault =
  /** There can be none here; the message says what to install or to allow. */
  | 'Unavailable'
  /** It cannot be reached. Nothing has run. */
  | 'Unreachable'
  /** It has had its one job. Nothing of this one has run. */
  | 'Taken'
  /** The runner takes no such job, or not from us. Nothing has run. */
  | 'Refused'
  /** It went away, hung or answered rubbish. The program may have run. */
  | 'Died';

export class SandboxFailure extends Error {
  override readonly name = 'SandboxFailure';
  readonly fault: SandboxFault;

  constructor(fault: SandboxFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }

  /** Whether the program may have run: then it is not simply run again. */
  get mayHaveRun(): boolean {
    return this.fault === 'Died';
  }
}
