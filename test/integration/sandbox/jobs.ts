import { DEFAULT_SANDBOX_LIMITS, type SandboxJob, type SandboxLimits } from '@kadre/sandbox';

type Changes = Partial<Omit<SandboxJob, 'limits'>> & { limits?: Partial<SandboxLimits> };

/** Python, if nothing else is said. */
export const jobOf = (source: string, { limits, ...changes }: Changes = {}): SandboxJob => ({
  language: 'python',
  source,
  ...changes,
  limits: { ...DEFAULT_SANDBOX_LIMITS, ...limits },
});
