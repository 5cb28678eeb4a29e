// Whether server-side apply can be skipped: the cached object already holds all that is desired, and nothing that was
// desired before and is no longer.
import { createHash } from 'node:crypto';
import { isQuantityPath, listRule, mayBeOmitted } from './merge-rules.ts';
import type { KubeObject } from './plan.ts';
import { sameQuantity } from './quantity.ts';

/** The object as it is sent: with an annotation that tells which desired state it was made from. */
export function withAppliedHash(desired: KubeObject, annotation: string): KubeObject {
  const { metadata } = desired;
  const annotations = { ...metadata.annotations, [annotation]: hashOf(desired) };
  return { ...desired, metadata: { ...metadata, annotations } };
}

/**
 * Whether applying `desired` (as `withAppliedHash` made it) would change nothing in `live`.
 *
 * A field that was edited by somebody else differs; a field that is no longer desired changes the hash. What others
 * added, and what the API server filled in, is left alone.
 */
export function isApplied(desired: KubeObject, live: KubeObject): boolean {
  return isSubset(desired, live);
}

/** Whether `live` holds all that `desired` says, in Kubernetes' understanding of lists, quantities and defaults. */
export function isSubset(desired: unknown, live: unknown): boolean {
  return contains(desired, live, { kind: kindOf(desired), path: [] });
}

interface Place {
  kind: string;
  /** Names of fields from the root; list items add nothing. */
  path: readonly string[];
}

function contains(desired: unknown, live: unknown, place: Place): boolean {
  if (desired === undefined || desired === null) return desired === undefined || live === undefined || live === null;
  if (live === undefined || live === null) return mayBeOmitted(desired, place.path);
  if (Array.isArray(desired)) return Array.isArray(live) && listContains(desired, live, place);
  if (isMap(desired)) {
    return (
      isMap(live) && Object.entries(desired).every(([name, value]) => contains(value, own(live, name), at(place, name)))
    );
  }
  return desired === live || (isQuantityPath(place.path) && sameQuantity(desired, live));
}

function listContains(desired: unknown[], live: unknown[], place: Place): boolean {
  const rule = listRule(place.kind, place.path, desired);
  switch (rule.type) {
    case 'set':
      return desired.every((item) => live.includes(item));
    case 'map':
      return mapContains(desired, live, rule.keyOf, place);
    case 'exact':
      return desired.length === live.length && desired.every((item, i) => isEqual(item, live[i]));
    case 'atomic':
      return desired.length === live.length && desired.every((item, i) => contains(item, live[i], place));
  }
}

function mapContains(desired: unknown[], live: unknown[], keyOf: (item: unknown) => string, place: Place): boolean {
  const byKey = new Map(live.map((item) => [keyOf(item), item]));
  return desired.every((item) => {
    const found = byKey.get(keyOf(item));
    return found !== undefined && contains(item, found, place);
  });
}

const at = (place: Place, name: string): Place => ({ kind: place.kind, path: [...place.path, name] });

/** Names come from users: one such as toString must not find what every object inherits. */
const own = (map: Record<string, unknown>, name: string): unknown => (Object.hasOwn(map, name) ? map[name] : undefined);

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const kindOf = (object: unknown) => (isMap(object) && typeof object.kind === 'string' ? object.kind : '');

/** Equality of JSON values, whatever the order of their keys. Absent and undefined are the same. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  if (!isMap(a) || !isMap(b)) return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => isEqual(own(a, name), own(b, name)));
}

/** A short digest of a JSON value, whatever the order of its keys. */
export function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('base64url')
    .slice(0, 22);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name])]),
  );
}
