// Runs what an agent has written. Where that may run, only the control plane knows: here stands what is asked and what the
// model is told.
import { codeLanguage, CODE_LANGUAGES } from '@kadre/crds';
import { z } from 'zod';
import type { ToolAnswer, ToolCallRequest } from '../contract.ts';
import { textAnswer, type Errand, type Executor } from '../executor.ts';
import { ToolError } from '../tool-error.ts';
import { readArguments } from './arguments.ts';
import { partOf, type BuiltinSpec } from './builtin-spec.ts';

const program = z
  .object({
    language: codeLanguage.describe('What it is written in.'),
    source: z.string().min(1).max(262_144).describe('The whole program. What it prints is what you see.'),
    input: z
      .unknown()
      .optional()
      .describe(
        'Data for the program: it finds it as JSON in the file that the environment variable KADRE_INPUT names.',
      ),
    files: z
      .array(z.object({ path: z.string().min(1).max(255), text: z.string() }).strict())
      .max(32)
      .optional()
      .describe('Files that it finds in the folder that it is started in.'),
  })
  .strict();

export type Program = z.infer<typeof program>;

/** What became of a program, as far as a model should know. */
export interface ProgramEnd {
  /** Absent: it was stopped. */
  exitCode?: number;
  /** Why it was stopped. */
  stopped?: string;
  stdout: string;
  stderr: string;
  output?: unknown;
  outputProblem?: string;
  files: ({ path: string; text: string } | { path: string; base64: string })[];
  leftOut: { path: string; why: string }[];
}

/** Throws a ToolError if there is no telling how it ended. */
export type RunProgram = (program: Program, errand: Errand, request: ToolCallRequest) => Promise<ProgramEnd>;

/** @param run absent: nothing is run here */
export function codeExecutor(run?: RunProgram): Executor {
  return {
    describe: ({ tool }) => {
      const { languages } = partOf(tool.spec, 'code');
      return Promise.resolve({
        operations: [
          { description: tool.spec.description ?? describe(languages), inputSchema: inputSchema(languages) },
        ],
      });
    },
    call: async (errand, request) => {
      const { languages } = partOf(errand.tool.spec, 'code');
      const args = readArguments(program.extend({ language: z.enum(languages) }), request.args);
      if ('complaint' in args) return args.complaint;
      if (!run) throw new ToolError('misconfigured', 'Code is run by the gateway alone.');
      return told(await run(args.read, errand, request), errand.maxBytes);
    },
  };
}

type Languages = NonNullable<BuiltinSpec['code']>['languages'];

const inputSchema = (languages: Languages): Record<string, unknown> =>
  z.toJSONSchema(program.extend({ language: z.enum(languages).describe('What it is written in.') }));

const names = { python: 'Python', javascript: 'JavaScript (Node.js)', shell: 'POSIX shell' } as const;

const describe = (languages: Languages): string =>
  `Runs a program in ${CODE_LANGUAGES.filter((one) => languages.includes(one))
    .map((one) => names[one])
    .join(', ')}, alone, with an empty folder and without network. Print what you want to know.`;

/** Models read the beginning and the end; engines take the data. */
function told(end: ProgramEnd, maxBytes: number): ToolAnswer {
  const part = Math.floor(maxBytes / 8);
  const files = end.files.map((file) =>
    'text' in file && file.text.length <= part / end.files.length
      ? `${file.path}:\n${file.text}`
      : `${file.path} (not shown)`,
  );
  const sections: [string, string][] = [
    ['stdout', clipped(end.stdout, part)],
    ['stderr', clipped(end.stderr, part)],
    ['output', end.output === undefined ? (end.outputProblem ?? '') : clipped(JSON.stringify(end.output), part)],
    ['files', files.join('\n')],
    ['left out', end.leftOut.map(({ path, why }) => `${path}: ${why}`).join('\n')],
  ];
  const said = sections.filter(([, text]) => text !== '').map(([name, text]) => `${name}:\n${text}`);
  const how = end.exitCode === undefined ? `It was stopped: ${end.stopped ?? ''}` : `Exit code ${end.exitCode}.`;
  return { ...textAnswer([how, ...said].join('\n\n')), structured: end, isError: end.exitCode !== 0 };
}

const clipped = (text: string, most: number): string =>
  text.length <= most
    ? text
    : `${text.slice(0, most / 2)}\n… ${text.length - most} characters left out …\n${text.slice(-most / 2)}`;
