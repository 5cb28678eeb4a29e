import {
  DEFAULT_SANDBOX_LIMITS,
  type SandboxEnd,
  type SandboxJob,
  type SandboxLimits,
  type SandboxOutput,
} from '@kadre/sandbox';

type Changes = Partial<Omit<SandboxJob, 'limits'>> & { limits?: Partial<SandboxLimits> };

/** Python, if nothing else is said. */
export const jobOf = (source: string, { limits, ...changes }: Changes = {}): SandboxJob => ({
  language: 'python',
  source,
  ...changes,
  limits: { ...DEFAULT_SANDBOX_LIMITS, ...limits },
});

/** What a program printed, and how it ended. */
export interface Outcome {
  end: SandboxEnd;
  stdout: string;
  stderr: string;
}

type Run = (onOutput: (piece: SandboxOutput) => void) => Promise<SandboxEnd>;

export async function outcomeOf(run: Run): Promise<Outcome> {
  const printed = { stdout: '', stderr: '' };
  const end = await run((piece) => {
    if ('stdout' in piece) printed.stdout += piece.stdout;
    else printed.stderr += piece.stderr;
  });
  return { end, ...printed };
}
