// What a door does with fields that the neutral request has no place for.
import type { Dialect, NativeFields } from '../conversation/request.ts';
import { invalidRequest } from '../errors.ts';

export interface FieldRules {
  /** Of no meaning to other providers, and harmless to leave out. */
  hints: ReadonlySet<string>;
  /**
   * Fields that would change the shape of the answer, or its price, in a way that the gateway does not carry; with the
   * values that do not. */
  refused: Readonly<Record<string, (value: unknown) => boolean>>;
}

/** Throws a 400 that names the first field that nobody takes. */
export function nativeFields(
  dialect: Dialect,
  rest: Readonly<Record<string, unknown>>,
  { hints, refused }: FieldRules,
): NativeFields {
  const native: NativeFields = { dialect, fields: {}, hints: {} };
  for (const [name, value] of Object.entries(rest)) {
    if (Object.hasOwn(refused, name)) {
      if (refused[name]?.(value)) throw notOffered(name);
      native.hints[name] = value;
    } else if (hints.has(name)) {
      native.hints[name] = value;
    } else {
      native.fields[name] = value;
    }
  }
  return native;
}

export const notOffered = (name: string): Error =>
  invalidRequest(`\`${name}\` with this value is not something that the gateway offers.`, name);

export const always = (): boolean => true;
export const unless =
  (...harmless: unknown[]) =>
  (value: unknown): boolean =>
    !harmless.includes(value);
