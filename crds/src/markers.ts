// What zod cannot say and a CRD can: CEL rules, and how lists merge under server-side apply.
import type { ValidationRule } from './structural.ts';

/** Metadata for `.meta()`: rules that the API server checks. Each message tells how to mend the manifest. */
export function rules(...list: ValidationRule[]) {
  return { 'x-kubernetes-validations': list };
}

/**
 * A list whose elements are told apart by one field: no duplicates, and appliers own single elements. Only for lists of
 * objects: of a set of strings, each one would be written down again in the managed fields of the object.
 */
export function listMap(key: string) {
  return { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] };
}

/** CEL: the fields are as they were. A field of any JSON has no type in CEL; seen as dyn it can still be compared. */
export const unchanged = (fields: string[], now = 'self', before = 'oldSelf'): string =>
  fields
    .map(
      (field) =>
        `has(dyn(${now}).${field}) == has(dyn(${before}).${field}) && (!has(dyn(${now}).${field}) || dyn(${now}).${field} == dyn(${before}).${field})`,
    )
    .join(' && ');
