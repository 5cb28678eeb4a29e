// Objects as files of a folder. A file appears under its name whole and durable, or not at all.
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StoreFullError, StoreUnusableError } from '../errors.ts';
import { checkName, ObjectMissingError, type ObjectEntry, type ObjectStore } from './objects.ts';

/** Where files are written before they get their names. Begins with a dot, as no object's name does. */
const DRAFTS = '.drafts';
/** No write takes that long: a draft that is older was left behind by a process that died. */
const STALE_DRAFT_MS = 3_600_000;
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * Opens the folder, and makes it if it isn't there; only its owner may read it. Threads and processes may share it.
 *
 * Its methods throw StoreFullError when no room is left, and StoreUnusableError when the folder cannot be read or written.
 */
export async function openFolder(root: string): Promise<ObjectStore> {
  const path = (name: string): string => join(root, checkName(name));
  return await explained(root, async () => {
    await makeDirectory(join(root, DRAFTS));
    await dropStaleDrafts(join(root, DRAFTS));
    return {
      put: (name, bytes) => explained(root, () => write(root, path(name), bytes, rename)),
      create: (name, bytes) => explained(root, () => create(root, path(name), bytes)),
      get: (name) => explained(root, () => read(name, path(name))),
      has: (name) => explained(root, () => isFile(path(name))),
      delete: (name) => explained(root, () => remove(path(name))),
      list: (folder) => list(root, folder === '' ? '' : checkName(folder)),
    };
  });
}

async function create(root: string, path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    // Unlike a rename, a link never replaces.
    await write(root, path, bytes, async (draft) => {
      await link(draft, path);
      await unlink(draft);
    });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

type Publish = (draft: string, path: string) => Promise<void>;

async function write(root: string, path: string, bytes: Uint8Array, publish: Publish): Promise<void> {
  const draft = join(root, DRAFTS, randomUUID());
  try {
    await writeDurably(draft, bytes);
    await inDirectory(dirname(path), () => publish(draft, path));
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Whoever deletes the last file of a directory removes that too, so it may vanish between being made and being used. */
async function inDirectory(directory: string, publish: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeDirectory(directory);
      await publish();
      break;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === 100) throw error;
    }
  }
  await syncIfThere(directory);
}

async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = directory; ; made = dirname(made)) {
    await syncIfThere(dirname(made));
    if (made === first || made === dirname(made)) return;
  }
}

/** Makes the names in a directory durable. One that has been removed since held nothing that anybody wants. */
async function syncIfThere(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(ignoring('ENOENT'));
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

async function read(name: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if (!MISSING.has(codeOf(error))) throw error;
    throw new ObjectMissingError(`there is no ${name}`, { cause: error });
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(ignoring(...MISSING));
  return found?.isFile() ?? false;
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch(ignoring(...MISSING));
  await rmdir(dirname(path)).catch(ignoring('ENOTEMPTY', 'EEXIST', ...MISSING));
}

async function* list(root: string, folder: string): AsyncIterable<ObjectEntry> {
  const entries = await explained(root, () =>
    readdir(join(root, folder), { withFileTypes: true }).catch(ignoring(...MISSING)),
  );
  for (const entry of entries ?? []) {
    if (entry.name.startsWith('.')) continue;
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* list(root, name);
    else {
      const found = await explained(root, () => stat(join(root, name)).catch(ignoring('ENOENT')));
      if (found) yield { name, bytes: found.size };
    }
  }
}

async function dropStaleDrafts(drafts: string): Promise<void> {
  for (const name of await readdir(drafts)) {
    const draft = join(drafts, name);
    const found = await stat(draft).catch(ignoring('ENOENT'));
    if (found && found.mtimeMs < Date.now() - STALE_DRAFT_MS) await unlink(draft).catch(ignoring('ENOENT'));
  }
}

/** Turns what the file system says into the store's own errors. */
async function explained<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code === '') throw error;
    const cause = { cause: error };
    if (FULL.has(code)) throw new StoreFullError(`no room left in ${root}: free some space there`, cause);
    throw new StoreUnusableError(`${root} cannot be used (${code}): check the volume and who may write to it`, cause);
  }
}

function ignoring(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(codeOf(error))) throw error;
  };
}

/** The system's code for an error, such as ENOENT; '' for errors that aren't the system's. */
function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('syscall' in error) || !('code' in error)) return '';
  return String(error.code);
}
