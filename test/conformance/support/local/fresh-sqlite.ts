// A store of its own for each case, in a folder that is gone afterwards.
import { openSqliteStore, type Store } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export async function openFresh(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-conformance-'));
  const store = openSqliteStore(join(folder, 'kadre.db'));
  const close = store.close.bind(store);
  store.close = async () => {
    await close();
    await rm(folder, { recursive: true });
  };
  return store;
}
