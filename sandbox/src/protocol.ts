// What goes into a sandbox and what comes out of it. The runner in it holds to the same bounds; here they are held to once
// more, for what comes out was written by code that nobody has read.
import { codeLanguage, type CodeLanguage } from '@kadre/crds';
import { z } from 'zod';

/** The port that the runner listens on, in a pod. */
export const SANDBOX_PORT = 8080;
/** The variable that tells the runner its key. */
export const SANDBOX_KEY_ENV = 'KADRE_SANDBOX_KEY';
/** What the runner itself may need beside the memory of the program. */
export const RUNNER_MEMORY_BYTES = 64 * 1024 * 1024;

/** Where programs are looked for before all else. */
export const PROGRAM_PATH = '/opt/kadre/bin';

const MIB = 1024 * 1024;
/** Of a job as JSON. */
export const MAX_JOB_BYTES = 16 * MIB;
const MAX_SOURCE = MIB;
const MAX_PATH = 255;
const MAX_FILES = 100;
/** The runner tells no more of what it left out. */
const MAX_LEFT_OUT = 100;

/** Where the program itself lies, in the folder in which it is started. */
export const PROGRAM: Readonly<Record<CodeLanguage, string>> = {
  python: 'main.py',
  javascript: 'main.js',
  shell: 'main.sh',
};

/** Names are shown to people and to models: what could pass for something else is no name. */
const NOT_IN_NAMES = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/u;

function isSandboxPath(path: string): boolean {
  const parts = path.split('/');
  return !NOT_IN_NAMES.test(path) && parts.every((part) => part !== '' && part !== '.' && part !== '..');
}

const sandboxPath = z
  .string()
  .min(1)
  .max(MAX_PATH)
  .refine(isSandboxPath, 'must be relative, without "..", backslashes, control or invisible characters');

export const sandboxFile = z.union([
  z.strictObject({ path: sandboxPath, text: z.string() }),
  z.strictObject({ path: sandboxPath, base64: z.base64() }),
]);

export const sandboxLimits = z.strictObject({
  timeoutMs: z.int().min(1).max(3_600_000),
  /** Of the program and all that it starts. */
  memoryBytes: z
    .int()
    .min(16 * MIB)
    .max(64 * 1024 * MIB),
  /** Of stdout and stderr together, and of the output once more. */
  outputBytes: z
    .int()
    .min(0)
    .max(8 * MIB),
  /** Of all that the program leaves in its folders, and of the files that are handed back. */
  fileBytes: z
    .int()
    .min(0)
    .max(1024 * MIB),
  processes: z.int().min(1).max(1024),
});

export type SandboxLimits = z.infer<typeof sandboxLimits>;

export const DEFAULT_SANDBOX_LIMITS: SandboxLimits = {
  timeoutMs: 30_000,
  memoryBytes: 256 * MIB,
  outputBytes: MIB,
  fileBytes: 64 * MIB,
  processes: 64,
};

/** What a program's files may come to when they are handed back; the rest is left out. */
export const MAX_RETURNED_BYTES = 8 * MIB;

/** One program, run once. `input` is a file to it, never part of its text. */
export const sandboxJob = z
  .strictObject({
    language: codeLanguage,
    source: z.string().max(MAX_SOURCE),
    input: z.json().optional(),
    files: z.array(sandboxFile).max(MAX_FILES).optional(),
    limits: sandboxLimits,
  })
  .superRefine(({ language, files = [] }, context) => {
    const taken = new Set([PROGRAM[language]]);
    for (const [i, { path }] of files.entries()) {
      if (taken.has(path)) {
        const message = path === PROGRAM[language] ? `"${path}" is the program itself` : `"${path}" is there twice`;
        context.addIssue({ code: 'custom', path: ['files', i, 'path'], message });
      }
      taken.add(path);
    }
  });

export const SANDBOX_END_REASONS = [
  /** By itself, whatever its exit code. */
  'Exited',
  'TimedOut',
  'MemoryExceeded',
  'OutputExceeded',
  'FilesExceeded',
  'ProcessesExceeded',
  /** The runner was told to go away. */
  'Cancelled',
] as const;

export const sandboxEnd = z.strictObject({
  reason: z.enum(SANDBOX_END_REASONS),
  /** 128 + n after signal n. Absent if the program was stopped. */
  exitCode: z.int().min(0).max(255).optional(),
  /** The JSON that the program wrote to the file $KADRE_OUTPUT. */
  output: z.json().optional(),
  /** Why there is no output, though there is such a file. */
  outputProblem: z.string().max(500).optional(),
  /** What it wrote into the folder that it was started in. */
  files: z.array(sandboxFile).max(MAX_FILES),
  /** What it wrote there and is not handed back. Names are made fit to be shown. */
  leftOut: z.array(z.strictObject({ path: z.string().max(MAX_PATH), why: z.string().max(200) })).max(MAX_LEFT_OUT),
  durationMs: z.number().min(0),
});

export const sandboxEvent = z.union([
  z.strictObject({ stdout: z.string() }),
  z.strictObject({ stderr: z.string() }),
  z.strictObject({ end: sandboxEnd }),
]);

export type SandboxFile = z.infer<typeof sandboxFile>;
export type SandboxJob = z.infer<typeof sandboxJob>;
export type SandboxEnd = z.infer<typeof sandboxEnd>;
export type SandboxEndReason = SandboxEnd['reason'];
/** A piece of what the program prints. */
export type SandboxOutput = { stdout: string } | { stderr: string };
