import { describe, expect, test } from '@jest/globals';
import { ObjectCache } from './kube/cache.ts';
import { unionCache } from './union-cache.ts';
import type { KubeObject } from './kube/index.ts';

const kind = { apiVersion: 'v1', kind: 'Service' };
const service = (namespace: string, name: string): KubeObject => ({
  ...kind,
  metadata: { namespace, name, labels: { app: name } },
});

function twoNamespaces() {
  const parts = new Map(['a', 'b'].map((namespace) => [namespace, new ObjectCache<KubeObject>(kind)]));
  return { parts, union: unionCache<KubeObject>(kind, parts) };
}

describe('one view of several namespaces', () => {
  test('finds, lists and counts what is in any of them, and nothing elsewhere', () => {
    const { parts, union } = twoNamespaces();
    union.addIndex('app', ({ metadata }) => [metadata.labels?.['app'] ?? '']);
    parts.get('a')?.upsert(service('a', 'one'));
    parts.get('b')?.upsert(service('b', 'one'));
    expect(union.get('b', 'one')?.metadata.namespace).toBe('b');
    expect(union.get('c', 'one')).toBeUndefined();
    expect(union.byIndex('app', 'one')).toHaveLength(2);
    expect([union.list().length, union.list('a').length, union.list('c').length, union.size]).toEqual([2, 1, 0, 2]);
  });

  test('hears of changes in any of them until it stops listening', () => {
    const { parts, union } = twoNamespaces();
    const heard: string[] = [];
    const stop = union.onChange(({ object }) => heard.push(object.metadata.namespace ?? ''));
    parts.get('a')?.upsert(service('a', 'one'));
    parts.get('b')?.upsert(service('b', 'one'));
    stop();
    parts.get('b')?.upsert(service('b', 'two'));
    expect(heard).toEqual(['a', 'b']);
  });

  test('has synced once all of them have', async () => {
    const { parts, union } = twoNamespaces();
    parts.get('a')?.replace([]);
    expect(union.hasSynced).toBe(false);
    parts.get('b')?.replace([]);
    await union.synced();
    expect(union.hasSynced).toBe(true);
  });
});
