// Columns hold JSON.

/** undefined becomes null: JSON has no undefined. */
export function json(value: unknown): string {
  return JSON.stringify(value ?? null);
}

/** A column that may be empty. */
export function optionalJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** The field with what the column holds; nothing if it is empty. */
export function optionalField<K extends string, T>(name: K, column: string | null): Partial<Record<K, T>> {
  if (column === null) return {};
  const field: Partial<Record<K, T>> = {};
  field[name] = JSON.parse(column) as T;
  return field;
}
