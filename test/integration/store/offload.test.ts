// With nothing inline, whatever the contract of stores writes goes through a blob.
import { blobsIn, openFolder, openSqliteStore, withBlobs, type Store } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStore } from '../../../store/src/describe-store.ts';

describeStore('a store with all payloads in blobs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-offload-'));
  const path = join(folder, 'kadre.db');
  const blobs = blobsIn(await openFolder(join(folder, 'blobs')));
  const open = (): Store => withBlobs(openSqliteStore(path), blobs, { inlineBytes: 0 });
  let store = open();
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = open());
    },
    second: () => Promise.resolve(open()),
    cleanUp: async () => {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
});
