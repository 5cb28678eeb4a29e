// One program in one sandbox, and what came of it.
import { quantityValue, sandboxSpec, type CodeCall, type FailureReason, type SandboxSpec } from '@kadre/crds';
import {
  DEFAULT_SANDBOX_LIMITS,
  sandboxJob,
  type SandboxCall,
  type SandboxEnd,
  type SandboxEndReason,
  type SandboxHost,
  type SandboxJob,
} from '@kadre/sandbox';

export const DEFAULT_SANDBOX: SandboxSpec = sandboxSpec.parse({});

export interface Ran {
  end: SandboxEnd;
  stdout: string;
  stderr: string;
}

/** Why a program was stopped. */
export interface Stop {
  reason: FailureReason;
  message: string;
}

/** @returns a message that says what is wrong, if the sandbox would not take it */
export function jobOf(
  { language, source, input, files }: Pick<CodeCall, 'language' | 'source' | 'input' | 'files'>,
  spec: SandboxSpec,
  timeoutMs: number,
): { job: SandboxJob } | { problem: string } {
  const limits = { ...DEFAULT_SANDBOX_LIMITS, timeoutMs, memoryBytes: Math.floor(quantityValue(spec.memory)) };
  const asked = { language, source, ...(input !== undefined && { input }), ...(files && { files }), limits };
  const parsed = sandboxJob.safeParse(asked);
  if (parsed.success) return { job: parsed.data };
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') ?? '';
  return { problem: `${fields[field] ?? field}: ${issue?.message ?? ''}` };
}

const fields: Readonly<Record<string, string>> = {
  'limits.memoryBytes': 'The memory of the sandbox (16Mi to 64Gi)',
  'limits.timeoutMs': 'The timeout (1h at most)',
};

/** Throws what the host throws. */
export async function runProgram(
  host: SandboxHost,
  spec: SandboxSpec,
  job: SandboxJob,
  call: Omit<SandboxCall, 'onOutput'>,
  onOutput?: (text: string) => void,
): Promise<Ran> {
  const printed: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
  const end = await host.run(spec, job, {
    ...call,
    onOutput: (piece) => {
      if ('stdout' in piece) printed.stdout.push(piece.stdout);
      else printed.stderr.push(piece.stderr);
      onOutput?.('stdout' in piece ? piece.stdout : piece.stderr);
    },
  });
  return { end, stdout: printed.stdout.join(''), stderr: printed.stderr.join('') };
}

/** Undefined for a program that ended by itself. */
export function stopOf(reason: SandboxEndReason, { limits }: SandboxJob): Stop | undefined {
  switch (reason) {
    case 'Exited':
      return undefined;
    case 'TimedOut':
      return { reason: 'TimedOut', message: `The program took longer than ${limits.timeoutMs / 1000} s.` };
    case 'MemoryExceeded':
      return limit(`needed more than ${mebibytes(limits.memoryBytes)} of memory`);
    case 'OutputExceeded':
      return limit(`printed more than ${mebibytes(limits.outputBytes)}`);
    case 'FilesExceeded':
      return limit(`wrote more than ${mebibytes(limits.fileBytes)} of files`);
    case 'ProcessesExceeded':
      return limit(`started more than ${limits.processes} processes`);
    case 'Cancelled':
      return { reason: 'CodeFailed', message: 'The sandbox was taken away before the program had ended.' };
  }
}

const limit = (what: string): Stop => ({ reason: 'LimitExceeded', message: `The program ${what}.` });
const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;
