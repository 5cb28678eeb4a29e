// What is asked, as one number: equal for equal requests, whatever door they came through.
import { createHash } from 'node:crypto';
import type { Call } from '../pipeline/call.ts';

/**
 * SHA-256, in hexadecimal, of all that may change the answer. Not of hints for the provider, such as a user's id, nor of
 * whether the answer is to be streamed. Of the Model it is the name: a step that is done again after somebody mended a Model
 * goes on with what it has.
 */
export function hashOf({ operation, request }: Call): string {
  const { native, ...asked } = request;
  const fields = native && Object.keys(native.fields).length > 0 && { dialect: native.dialect, fields: native.fields };
  return createHash('sha256')
    .update(canonicalJson({ operation, ...asked, ...(fields && { native: fields }) }))
    .digest('hex');
}

/** JSON with the keys of all objects in order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
