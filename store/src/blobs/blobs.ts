// Large values, kept outside the database under the hash of what they hold.
import { createHash } from 'node:crypto';
import { checkName, ObjectMissingError, type ObjectStore } from './objects.ts';

/**
 * Names a blob of an owner. The day is part of the name so that a blob that nobody refers to can be deleted while writers
 * are at work: once its day is long over, no writer puts under that name again.
 */
export interface BlobRef {
  /** Of the bytes, in lower-case hex. */
  sha256: string;
  bytes: number;
  /** UTC day on which it was put, such as 2026-01-31. */
  day: string;
}

export interface StoredBlob {
  owner: string;
  ref: BlobRef;
}

/** An owner is whoever's end is the end of its blobs: the UID of a run. */
export interface Blobs {
  /** Resolves once the bytes are durable. The same bytes on the same day are kept once for each owner. */
  put(owner: string, bytes: Uint8Array): Promise<BlobRef>;
  /** Throws {@link BlobMissingError} or {@link BlobDamagedError}; what it returns has the hash that the reference says. */
  get(owner: string, ref: BlobRef): Promise<Uint8Array>;
  /** Idempotent. */
  delete(owner: string, ref: BlobRef): Promise<void>;
  /** The blobs of one owner, or of all. */
  list(owner?: string): AsyncIterable<StoredBlob>;
}

/** A row refers to a blob that is not there. */
export class BlobMissingError extends Error {
  override name = 'BlobMissingError';
}

/** A blob is there, but holds other bytes than were put. */
export class BlobDamagedError extends Error {
  override name = 'BlobDamagedError';
}

const FOLDER = 'blobs';
const NAME = /^blobs\/([^/]+)\/(\d{4}-\d{2}-\d{2})-([0-9a-f]{64})$/;

export function blobsIn(objects: ObjectStore, now: () => number = Date.now): Blobs {
  return {
    async put(owner, bytes) {
      const ref = { sha256: sha256(bytes), bytes: bytes.length, day: utcDay(now()) };
      await objects.put(nameOf(owner, ref), bytes);
      return ref;
    },
    async get(owner, ref) {
      const bytes = await read(objects, owner, ref);
      if (bytes.length !== ref.bytes || sha256(bytes) !== ref.sha256) {
        const found = `${bytes.length} bytes with other content`;
        throw new BlobDamagedError(
          `blob ${nameOf(owner, ref)} is damaged: ${ref.bytes} bytes were put, ${found} are there; restore it from a backup`,
        );
      }
      return bytes;
    },
    delete: async (owner, ref) => await objects.delete(nameOf(owner, ref)),
    list: (owner) => list(objects, owner),
  };
}

/** The UTC day of a time in milliseconds since 1970. */
export function utcDay(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

async function read(objects: ObjectStore, owner: string, ref: BlobRef): Promise<Uint8Array> {
  try {
    return await objects.get(nameOf(owner, ref));
  } catch (error) {
    if (!(error instanceof ObjectMissingError)) throw error;
    throw new BlobMissingError(`blob ${nameOf(owner, ref)} is missing; restore it from a backup`, { cause: error });
  }
}

async function* list(objects: ObjectStore, only?: string): AsyncIterable<StoredBlob> {
  for await (const { name, bytes } of objects.list(only === undefined ? FOLDER : folderOf(only))) {
    const [, folder = '', day, sha256] = NAME.exec(name) ?? [];
    const owner = ownerOf(folder);
    if (owner !== undefined && day !== undefined && sha256 !== undefined) yield { owner, ref: { sha256, bytes, day } };
  }
}

function nameOf(owner: string, { day, sha256 }: BlobRef): string {
  return `${folderOf(owner)}/${day}-${sha256}`;
}

function folderOf(owner: string): string {
  return checkName(`${FOLDER}/${encode(owner)}`);
}

/** A folder's name for any owner; a UID stays as it is. */
function encode(owner: string): string {
  const hex = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(owner)
    .replace(/[!'()*~]|^\./g, hex)
    .replaceAll('%', '=');
}

/** Nothing for a folder that was not named by `encode`. */
function ownerOf(folder: string): string | undefined {
  try {
    const owner = decodeURIComponent(folder.replaceAll('=', '%'));
    return encode(owner) === folder && folder !== '' ? owner : undefined;
  } catch {
    return undefined;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
