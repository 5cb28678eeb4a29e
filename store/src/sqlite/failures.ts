// What SQLite's result codes mean to a caller. https://www.sqlite.org/rescode.html
import { StoreBusyError, StoreFullError, StoreUnusableError } from '../errors.ts';

const BUSY = 5;
const FULL = 13;
const UNUSABLE = new Map([
  [8, 'is read-only'],
  [10, 'cannot be read or written'],
  [11, 'is damaged'],
  [14, 'cannot be opened'],
  [26, 'is not a database'],
]);

/** The primary result code, or undefined for an error that isn't SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined;
  return error.errcode & 0xff;
}

export function isBusy(error: unknown): boolean {
  return resultCode(error) === BUSY;
}

/** Whether the error means that the whole transaction is lost, not just one statement. */
export function dooms(error: unknown): boolean {
  const code = resultCode(error);
  return code === FULL || code === BUSY || (code !== undefined && UNUSABLE.has(code));
}

/** The store's own error for one of SQLite's; any other error as it is. */
export function storeError(error: unknown, path: string): Error {
  const known = error instanceof Error ? error : new Error(String(error));
  const code = resultCode(error);
  if (code === undefined) return known;
  const cause = { cause: error };
  if (code === FULL)
    return new StoreFullError(`no room left for ${path}: free some space, or allow the store more`, cause);
  if (code === BUSY) return new StoreBusyError(`${path} was busy for too long`, cause);
  const complaint = UNUSABLE.get(code);
  return complaint === undefined ? known : new StoreUnusableError(`${path} ${complaint}`, cause);
}
