// Named bytes in a folder or in an S3 bucket: what blobs and archives are kept in.

export interface ObjectStore {
  /** Resolves once the bytes are durable. Replaces what was there; whoever reads sees the old bytes or the new ones. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Like `put`, but of several callers one is the first: `false`, and nothing written, if the name was taken. */
  create(name: string, bytes: Uint8Array): Promise<boolean>;
  /** Throws {@link ObjectMissingError}. */
  get(name: string): Promise<Uint8Array>;
  has(name: string): Promise<boolean>;
  /** Idempotent. */
  delete(name: string): Promise<void>;
  /** What lies under the folder, at any depth, in no particular order; '' is all. */
  list(folder: string): AsyncIterable<ObjectEntry>;
}

export interface ObjectEntry {
  name: string;
  bytes: number;
}

/** There is no object of that name. */
export class ObjectMissingError extends Error {
  override name = 'ObjectMissingError';
}

const SEGMENT = /^[\w=-][\w.=-]{0,199}$/;

/**
 * Names are paths of letters, digits and `_ . = -`, such as `date=2026-01-31/runs.parquet`: safe in every file system and
 * every URL. No part begins with a dot. Throws a RangeError for others.
 */
export function checkName(name: string): string {
  if (!name.split('/').every((part) => SEGMENT.test(part))) {
    throw new RangeError(`"${name}" cannot name an object: use letters, digits and _ . = - between slashes`);
  }
  return name;
}
