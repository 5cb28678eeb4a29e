// Why the store refused. Whoever calls can tell them apart by class.

/** Another process holds the store. One process at a time may write to an embedded store. */
export class StoreLockedError extends Error {
  override name = 'StoreLockedError';
}

/** The disk, or the limit set for the store, is full. Nothing of the call was written. */
export class StoreFullError extends Error {
  override name = 'StoreFullError';
}

/** The database was held by others, or out of reach, for longer than a call waits. Nothing of the call was written. */
export class StoreBusyError extends Error {
  override name = 'StoreBusyError';
}

/** The connection to the database broke. Whether the call was written isn't known: read before writing it again. */
export class StoreInterruptedError extends Error {
  override name = 'StoreInterruptedError';
}

/** The database cannot be read or written: damaged, taken away, read-only, or made by a newer Kadre. */
export class StoreUnusableError extends Error {
  override name = 'StoreUnusableError';
}

/** The store was closed. */
export class StoreClosedError extends Error {
  override name = 'StoreClosedError';
}

/** The run was never submitted to this store. */
export class UnknownRunError extends Error {
  override name = 'UnknownRunError';
}

/** The run is at work still, and only one that is over can be forgotten. */
export class RunNotOverError extends Error {
  override name = 'RunNotOverError';
}
