// JSON Schemas come from strangers: what is too large for a model, or for whoever checks arguments by it, is left out.

const MAX_BYTES = 64 * 1024;
const MAX_DEPTH = 32;

/** What is wrong with the schema of arguments, if anything. */
export function argumentsComplaint(schema: unknown): string | undefined {
  const isObject = typeof schema === 'object' && schema !== null && (!('type' in schema) || schema.type === 'object');
  return isObject ? schemaComplaint(schema) : 'its schema is not that of an object';
}

/** What is wrong with any schema, if anything. */
export function schemaComplaint(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return 'its schema is not an object';
  if (isDeeper(schema, MAX_DEPTH)) return `its schema is nested more than ${MAX_DEPTH} deep`;
  if (JSON.stringify(schema).length > MAX_BYTES) return `its schema is larger than ${MAX_BYTES / 1024} KiB`;
  return undefined;
}

/** Goes no deeper than it must. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
