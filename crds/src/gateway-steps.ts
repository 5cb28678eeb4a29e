// Steps of a Workflow that the gateway carries out: calls of tools, and code in a sandbox.
import { z } from 'zod';
import { dnsLabel, json } from './common.ts';
import { listMap } from './markers.ts';
import { codeLanguage, sandboxSpec } from './sandbox.ts';

export const toolStep = z.object({
  name: dnsLabel.describe(
    'A Tool of this namespace. Its policy, limits and approval hold; no Agent needs to be granted it.',
  ),
  operation: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe('Which of its operations, if it has several, such as those of an MCP server.'),
  args: json.optional().describe('The arguments: an object with expressions inside, or an expression that gives one.'),
});

/** Of a file in a sandbox: relative, and never out of the folder. */
export const codePath = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9_][-A-Za-z0-9_.]*(\/[A-Za-z0-9_][-A-Za-z0-9_.]*)*$/);

export const codeStep = z.object({
  language: codeLanguage.describe('What it is written in.'),
  source: z
    .string()
    .min(1)
    .max(131_072)
    .describe(
      'The program, as it stands: $(…) means nothing here. What changes from run to run comes as input or files.',
    ),
  input: json.optional().describe('Data for the program: it finds it as JSON in the file that KADRE_INPUT names.'),
  files: z
    .array(
      z
        .object({
          path: codePath.describe('Where, in the folder that the program starts in.'),
          content: json.describe(
            'What is in it: a text with expressions inside, or an expression; a file that another code step kept stays what it was, other data becomes JSON.',
          ),
        })
        .describe('One file.'),
    )
    .max(32)
    .meta(listMap('path'))
    .optional()
    .describe('Files that the program finds.'),
  keep: z
    .array(z.string().min(1).max(255).describe('A path, or a part of paths.'))
    .min(1)
    .max(32)
    .optional()
    .describe('Files that the program leaves and the output has, with * for any characters. Absent: none.'),
  sandbox: sandboxSpec.optional().describe('Where it runs. Absent: with 256Mi and half a CPU.'),
});

export type ToolStep = z.infer<typeof toolStep>;
export type CodeStep = z.infer<typeof codeStep>;
