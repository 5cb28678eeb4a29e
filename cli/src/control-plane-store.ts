// The store as every role opens it: a file or a database, and beside it what is too large for rows.
import {
  blobsIn,
  ObjectMissingError,
  openPostgresStore,
  openSqliteStore,
  withBlobs,
  type Blobs,
  type ObjectStore,
  type Store,
} from '@kadre/store';
import type { StorePlace } from './config.ts';
import { openPlace } from './places.ts';

export interface ControlPlaneStore {
  store: Store;
  /** Without blobs: rows have references where values are large. */
  rows: Store;
  blobs: Blobs;
}

/** Throws what the store and the folder of blobs throw; close `store` and nothing else. */
export async function openControlPlaneStore(place: StorePlace): Promise<ControlPlaneStore> {
  const inDatabase = place.blobs === 'database';
  const blobs = blobsIn(place.blobs === 'database' ? nowhere : await openPlace(place.blobs));
  const rows = await openRows(place);
  return { store: withBlobs(rows, blobs, inDatabase ? { inlineBytes: Infinity } : {}), rows, blobs };
}

async function openRows(place: StorePlace): Promise<Store> {
  if ('file' in place) return openSqliteStore(place.file);
  const { url, connections } = place;
  return openPostgresStore({ url, ...(connections !== undefined && { connections }) });
}

/** Of a store that keeps large values in its database. What an earlier configuration kept elsewhere is missed by name. */
const nowhere: ObjectStore = {
  put: () => Promise.reject(new Error('blobs are kept in the database')),
  create: () => Promise.reject(new Error('blobs are kept in the database')),
  get: (name) => Promise.reject(new ObjectMissingError(`there is no ${name}`)),
  has: () => Promise.resolve(false),
  delete: () => Promise.resolve(),
  // eslint-disable-next-line @typescript-eslint/require-await
  list: async function* () {
    yield* [];
  },
};
