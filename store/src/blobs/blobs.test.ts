import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blobsIn, type Blobs, type StoredBlob } from './blobs.ts';
import { openFolder } from './folder.ts';

async function withFolder(work: (blobs: Blobs) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-blobs-'));
  try {
    await work(blobsIn(await openFolder(folder)));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function all(listed: AsyncIterable<StoredBlob>): Promise<StoredBlob[]> {
  const found: StoredBlob[] = [];
  for await (const blob of listed) found.push(blob);
  return found;
}

test('a blob belongs to its owner alone, whatever that is called', () =>
  withFolder(async (blobs) => {
    const owner = fc.oneof(
      fc.constantFrom('.', '..', '../x', 'a/b', 'a=2Fb', 'a%2Fb', '.drafts', "it's (~*!)"),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(owner, fc.uint8Array(), async (name, bytes) => {
        fc.pre(name !== '' && name.length < 60 && name.isWellFormed());
        const ref = await blobs.put(name, bytes);
        expect(Array.from(await blobs.get(name, ref))).toEqual(Array.from(bytes));
        expect(await all(blobs.list(name))).toEqual([{ owner: name, ref }]);
        expect(await all(blobs.list())).toEqual([{ owner: name, ref }]);
        await blobs.delete(name, ref);
        expect(await all(blobs.list())).toEqual([]);
      }),
    );
  }));

test.each(['', 'x'.repeat(300)])('"%s" cannot own a blob', (owner) =>
  withFolder(async (blobs) => {
    await expect(blobs.put(owner, new Uint8Array(1))).rejects.toThrow(RangeError);
  }),
);
