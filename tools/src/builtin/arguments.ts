// Arguments as models write them, checked before anything is done with them.
import type { z } from 'zod';
import type { ToolAnswer } from '../contract.ts';
import { failure } from '../executor.ts';

export function readArguments<Schema extends z.ZodType>(
  schema: Schema,
  args: unknown,
): { read: z.output<Schema> } | { complaint: ToolAnswer } {
  const parsed = schema.safeParse(args);
  if (parsed.success) return { read: parsed.data };
  const [issue] = parsed.error.issues;
  return { complaint: failure(`The argument ${issue?.path.join('.') ?? ''} does not fit: ${issue?.message ?? ''}`) };
}
