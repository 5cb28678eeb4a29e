import type { ToolSpec } from '@kadre/crds';

export type BuiltinSpec = NonNullable<ToolSpec['builtin']>;

/** The part of a builtin Tool that its executor was chosen by. */
export function partOf<Kind extends keyof BuiltinSpec>(
  { builtin }: ToolSpec,
  kind: Kind,
): NonNullable<BuiltinSpec[Kind]> {
  const part = builtin?.[kind];
  if (!part) throw new Error(`only a Tool with builtin.${kind} gets here`);
  return part;
}
