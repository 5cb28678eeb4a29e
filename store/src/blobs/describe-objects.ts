// What every store of objects must do, be it a folder or a bucket.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { ObjectMissingError, type ObjectStore } from './objects.ts';

export interface ObjectsUnderTest {
  objects: ObjectStore;
  /** The same objects, opened once more. */
  second: ObjectStore;
  cleanUp: () => Promise<void>;
}

export function describeObjects(name: string, open: () => Promise<ObjectsUnderTest>): void {
  describe(name, () => {
    let it: ObjectsUnderTest;
    beforeAll(async () => {
      it = await open();
    });
    afterAll(() => it.cleanUp());
    describe('one object', () => describeOne(() => it));
    describe('many objects', () => describeMany(() => it));
  });
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const fresh = (): string => `test/${randomUUID()}`;

function describeOne(it: () => ObjectsUnderTest): void {
  test.each([
    ['nothing', new Uint8Array()],
    ['a byte', new Uint8Array([0])],
    ['text beyond ASCII', text('é 漢 🦀')],
    ['a megabyte that no compression makes smaller', new Uint8Array(randomBytes(1_000_003))],
  ])('that holds %s comes back as it was put, to others too', async (_, bytes) => {
    const name = fresh();
    await it().objects.put(name, bytes);
    expect(Buffer.compare(await it().second.get(name), bytes)).toBe(0);
    expect(await it().second.has(name)).toBe(true);
  });

  test('a view into a larger buffer is put alone', async () => {
    const name = fresh();
    await it().objects.put(name, text('before, middle, after').subarray(8, 14));
    expect(Buffer.from(await it().objects.get(name)).toString()).toBe('middle');
  });

  test('is replaced by a later put', async () => {
    const name = fresh();
    await it().objects.put(name, text('a longer first'));
    await it().objects.put(name, text('second'));
    expect(Buffer.from(await it().objects.get(name)).toString()).toBe('second');
  });

  test('that was never put is missing', async () => {
    const name = fresh();
    await expect(it().objects.get(name)).rejects.toThrow(ObjectMissingError);
    expect(await it().objects.has(name)).toBe(false);
  });

  test('that is deleted is missing, and can be deleted again and put again', async () => {
    const name = fresh();
    await it().objects.put(name, text('x'));
    await it().objects.delete(name);
    await it().objects.delete(name);
    await expect(it().second.get(name)).rejects.toThrow(ObjectMissingError);
    await it().objects.put(name, text('y'));
    expect(await it().objects.has(name)).toBe(true);
  });

  test('that is created twice keeps what came first', async () => {
    const name = fresh();
    expect(await it().objects.create(name, text('first'))).toBe(true);
    expect(await it().second.create(name, text('second'))).toBe(false);
    expect(Buffer.from(await it().objects.get(name)).toString()).toBe('first');
  });

  test('has one creator, however many try at once', async () => {
    const name = fresh();
    const tries = Array.from({ length: 8 }, async (_, index) => {
      const won = await (index % 2 ? it().second : it().objects).create(name, text(`by ${index}`));
      return won ? `by ${index}` : undefined;
    });
    const winners = (await Promise.all(tries)).filter((winner) => winner !== undefined);
    expect(winners).toEqual([Buffer.from(await it().objects.get(name)).toString()]);
  });

  test.each(['', '/', 'a//b', '/a', 'a/', '../a', 'a/../b', '.a', 'a/.b', 'a b', 'a?b', 'a%2Fb', 'é', 'a\\b', 'a\0b'])(
    'cannot be named %j',
    async (name) => {
      const trials = ['put', 'create', 'get', 'has', 'delete'] as const;
      for (const trial of trials) {
        const call = (async () => await it().objects[trial](name, text('x')))();
        await expect(call).rejects.toThrow(RangeError);
      }
    },
  );

  test('may be named as archives name their files', async () => {
    const name = `${fresh()}/date=2026-01-31/kadre-0001.parquet`;
    await it().objects.put(name, text('x'));
    expect(await it().objects.has(name)).toBe(true);
  });
}

/** The names of all objects under the folder, sorted. */
export async function namesIn(objects: ObjectStore, folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of objects.list(folder)) names.push(name);
  return names.sort();
}

function describeMany(it: () => ObjectsUnderTest): void {
  const names = (folder: string): Promise<string[]> => namesIn(it().objects, folder);

  test('are listed by folder, at any depth, with their sizes', async () => {
    const folder = fresh();
    const inside = [`${folder}/a`, `${folder}/b/c`, `${folder}/b/d=1/e.json`];
    for (const name of [...inside, `${folder}2/a`, `${folder}.txt`]) await it().objects.put(name, text(name));
    expect(await names(folder)).toEqual(inside);
    for await (const { name, bytes } of it().objects.list(folder)) expect(bytes).toBe(name.length);
    expect(await names('')).toEqual(expect.arrayContaining([...inside, `${folder}2/a`]));
  });

  test('are none in a folder that is not there, or whose objects are all deleted', async () => {
    const folder = fresh();
    expect(await names(folder)).toEqual([]);
    await it().objects.put(`${folder}/a`, text('x'));
    await it().objects.delete(`${folder}/a`);
    expect(await names(folder)).toEqual([]);
  });

  test('may be more than one page', async () => {
    const folder = fresh();
    const put = Array.from({ length: 1_050 }, (_, index) => `${folder}/${index}`);
    for (let from = 0; from < put.length; from += 50) {
      await Promise.all(put.slice(from, from + 50).map((name) => it().objects.put(name, text('x'))));
    }
    expect(await names(folder)).toEqual(put.sort());
  });

  test('put and deleted in one folder at once do not hinder each other', async () => {
    const folder = fresh();
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        for (let round = 0; round < 5; round++) {
          await it().objects.put(`${folder}/${index}`, text('x'));
          await it().second.delete(`${folder}/${index}`);
        }
        await it().objects.put(`${folder}/${index}`, text('x'));
      }),
    );
    expect(await names(folder)).toHaveLength(20);
  });
}
