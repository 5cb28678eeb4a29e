// Where code runs that nobody has read: one sandbox, one program.
import { z } from 'zod';
import { image, objectName, quantity } from './common.ts';

export const CODE_LANGUAGES = ['python', 'javascript', 'shell'] as const;

export const codeLanguage = z.enum(CODE_LANGUAGES);

export const sandboxSpec = z.object({
  image: image.optional().describe("Instead of Kadre's own image: one that is built on it, with further libraries."),
  runtimeClassName: objectName.optional().describe('A RuntimeClass such as gvisor or kata, for a wall of its own.'),
  memory: quantity.default('256Mi').describe('Memory of the program, such as "256Mi". With more it is stopped.'),
  cpu: quantity.default('500m').describe('CPU of the program, such as "500m".'),
});

export const codeTool = sandboxSpec.extend({
  languages: z
    .array(codeLanguage.describe('One of them.'))
    .min(1)
    .max(CODE_LANGUAGES.length)
    .default([...CODE_LANGUAGES])
    .describe('What programs may be written in.'),
  warm: z
    .int()
    .min(0)
    .max(50)
    .default(0)
    .describe('How many sandboxes are kept ready, so that programs start at once. On a laptop there is no need.'),
});

export type CodeLanguage = z.infer<typeof codeLanguage>;
export type SandboxSpec = z.infer<typeof sandboxSpec>;
