import { beforeEach, describe, expect, test } from '@jest/globals';
import { ObjectCache, byLabel, byOwnerUid, joinKey, keyOf, splitKey } from './cache.ts';
import type { KubeObject } from './plan.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };

function configMap(name: string, metadata: Partial<KubeObject['metadata']> = {}): KubeObject {
  return { ...kind, metadata: { namespace: 'default', name, uid: `uid-${name}`, resourceVersion: '1', ...metadata } };
}

let cache: ObjectCache;
let changes: string[];
beforeEach(() => {
  cache = new ObjectCache(kind, { indexes: { owner: byOwnerUid, app: byLabel('app') } });
  changes = [];
  cache.onChange(({ type, object }) =>
    changes.push(`${type} ${keyOf(object)} ${object.metadata.resourceVersion ?? ''}`),
  );
});

const ownedBy = (uid: string) => ({ ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid }] });

describe('replace', () => {
  test('adds what is new, updates what changed, deletes what is missing, and leaves the rest alone', () => {
    cache.replace([configMap('same'), configMap('changed'), configMap('gone')]);
    changes.length = 0;
    cache.replace([configMap('same'), configMap('changed', { resourceVersion: '2' }), configMap('new')]);
    expect(changes.sort()).toEqual(['added default/new 1', 'deleted default/gone 1', 'updated default/changed 2']);
  });

  test('shows listeners the whole new state at the first change', () => {
    cache.replace([configMap('a'), configMap('b')]);
    const seen: string[][] = [];
    cache.onChange(() => seen.push(cache.list().map(({ metadata }) => metadata.name)));
    cache.replace([configMap('c'), configMap('d')]);
    expect(seen[0]).toEqual(['c', 'd']);
  });

  test('makes the cache synced, even when the collection is empty', async () => {
    expect(cache.hasSynced).toBe(false);
    cache.replace([]);
    expect(cache.hasSynced).toBe(true);
    await cache.synced();
  });

  test('a namesake that was made anew is one deletion and one addition', () => {
    cache.replace([configMap('a')]);
    changes.length = 0;
    cache.replace([configMap('a', { uid: 'another', resourceVersion: '9' })]);
    expect(changes).toEqual(['deleted default/a 1', 'added default/a 9']);
  });
});

describe('reading', () => {
  test('finds by name, by namespace, by owner and by label', () => {
    cache.upsert(configMap('a', { labels: { app: 'x' }, ...ownedBy('o1') }));
    cache.upsert(configMap('b', { namespace: 'other', labels: { app: 'x' } }));
    const names = (objects: KubeObject[]) => objects.map(keyOf);
    expect(cache.get('default', 'a')?.metadata.name).toBe('a');
    expect(cache.get('other', 'a')).toBeUndefined();
    expect(names(cache.list('other'))).toEqual(['other/b']);
    expect(names(cache.byIndex('app', 'x'))).toEqual(['default/a', 'other/b']);
    expect(names(cache.byIndex('owner', 'o1'))).toEqual(['default/a']);
  });

  test('an index follows updates and deletions', () => {
    cache.upsert(configMap('a', ownedBy('o1')));
    cache.upsert(configMap('a', { ...ownedBy('o2'), resourceVersion: '2' }));
    expect(cache.byIndex('owner', 'o1')).toEqual([]);
    expect(cache.byIndex('owner', 'o2')).toHaveLength(1);
    cache.remove(configMap('a'));
    expect(cache.byIndex('owner', 'o2')).toEqual([]);
  });

  test('objects cannot be changed by who reads them', () => {
    cache.upsert(configMap('a', { labels: { app: 'x' } }));
    const object = cache.get('default', 'a');
    expect(() => Object.assign(object?.metadata.labels ?? {}, { app: 'y' })).toThrow(TypeError);
  });

  test('managedFields are not kept', () => {
    cache.upsert(configMap('a', { managedFields: [{}] } as object));
    expect(cache.get('default', 'a')?.metadata).not.toHaveProperty('managedFields');
  });

  test('an index that is not there is an error, not an empty result', () => {
    expect(() => cache.byIndex('typo', 'x')).toThrow('no index typo');
  });
});

describe('faults of others', () => {
  test('a listener that throws keeps nothing from the others', () => {
    const own = new ObjectCache(kind);
    const seen: string[] = [];
    own.onChange(() => {
      throw new Error('broken');
    });
    own.onChange(({ type }) => seen.push(type));
    own.upsert(configMap('a'));
    expect(seen).toEqual(['added']);
  });

  test('an object that an index cannot read is left out of that index alone', () => {
    const own = new ObjectCache(kind, {
      indexes: { bad: (object) => [(object.spec as { x: string }).x.toUpperCase()] },
    });
    own.upsert(configMap('poison'));
    own.upsert({ ...configMap('good'), spec: { x: 'y' } });
    expect(own.list()).toHaveLength(2);
    expect(own.byIndex('bad', 'Y')).toHaveLength(1);
  });
});

test.each([
  ['default/a', { namespace: 'default', name: 'a' }],
  ['a', { name: 'a' }],
])('the key %s names its object', (key, parts) => {
  expect(splitKey(key)).toEqual(parts);
  expect(joinKey('namespace' in parts ? parts.namespace : undefined, parts.name)).toBe(key);
});
