import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hashOf, isApplied, isEqual, isSubset, withAppliedHash } from './apply.ts';
import type { KubeObject } from './plan.ts';

const pod = (container: object, more: object = {}) => ({
  kind: 'Deployment',
  spec: { template: { spec: { containers: [{ name: 'main', image: 'i', ...container }], ...more } } },
});
const service = (...ports: object[]) => ({ kind: 'Service', spec: { ports } });
const policy = (...ports: object[]) => ({ kind: 'NetworkPolicy', spec: { egress: [{ ports }] } });

describe('nothing to do when the live object', () => {
  test.each<[string, object, object]>([
    ['has defaults that the API server filled in', pod({}), pod({ terminationMessagePath: '/dev/termination-log' })],
    [
      'has a container that was injected',
      pod({}),
      { ...pod({}), spec: { template: { spec: { containers: [{ name: 'sidecar' }, { name: 'main', image: 'i' }] } } } },
    ],
    ['has labels of others', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { a: '1', other: 'x' } } }],
    [
      'writes quantities in another form',
      pod({ resources: { limits: { cpu: '100m', memory: '1024Mi' } } }),
      pod({ resources: { limits: { cpu: '0.1', memory: '1Gi' } } }),
    ],
    [
      'has environment variables in another order',
      pod({
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
      }),
      pod({
        env: [
          { name: 'B', value: '2' },
          { name: 'A', value: '1' },
        ],
      }),
    ],
    [
      'names the protocol that was left to the default',
      pod({ ports: [{ containerPort: 80 }] }),
      pod({ ports: [{ containerPort: 80, protocol: 'TCP' }] }),
    ],
    [
      'has a nodePort on a service port',
      service({ port: 80, targetPort: 8080 }),
      service({ port: 80, targetPort: 8080, protocol: 'TCP', nodePort: 30000 }),
    ],
    ['has defaults within the items of an atomic list', policy({ port: 53 }), policy({ port: 53, protocol: 'TCP' })],
    ['does not store an empty map', { metadata: { labels: {} } }, { metadata: {} }],
    ['does not store an empty list', pod({ command: [] }), pod({})],
    ['does not store an empty value', pod({ env: [{ name: 'A', value: '' }] }), pod({ env: [{ name: 'A' }] })],
    ['does not store a flag that is off', pod({}, { hostNetwork: false }), pod({})],
    ['lacks what is desired to be null', pod({ command: null }), pod({})],
    ['lacks what is undefined', pod({ command: undefined }), pod({})],
    ['has a further finalizer', { metadata: { finalizers: ['a'] } }, { metadata: { finalizers: ['b', 'a'] } }],
  ])('%s', (_name, desired, live) => {
    expect(isSubset(desired, live)).toBe(true);
  });
});

describe('to be applied when somebody', () => {
  test.each<[string, object, object]>([
    ['changed the image', pod({}), pod({ image: 'other' })],
    [
      'changed a quantity',
      pod({ resources: { limits: { cpu: '100m' } } }),
      pod({ resources: { limits: { cpu: '1' } } }),
    ],
    [
      'changed a value that only looks like a quantity',
      pod({ env: [{ name: 'A', value: '1k' }] }),
      pod({ env: [{ name: 'A', value: '1000' }] }),
    ],
    ['removed a label', { metadata: { labels: { a: '1' } } }, { metadata: { labels: { b: '1' } } }],
    ['removed an environment variable', pod({ env: [{ name: 'A', value: '1' }] }), pod({ env: [] })],
    ['removed the container', pod({}), { spec: { template: { spec: { containers: [] } } } }],
    ['added an argument', pod({ args: ['a'] }), pod({ args: ['a', 'b'] })],
    ['reordered the arguments', pod({ args: ['a', 'b'] }), pod({ args: ['b', 'a'] })],
    [
      'added a toleration',
      pod({}, { tolerations: [{ key: 'a' }] }),
      pod({}, { tolerations: [{ key: 'a' }, { key: 'b' }] }),
    ],
    [
      'widened a toleration',
      pod({}, { tolerations: [{ key: 'a', effect: 'NoSchedule' }] }),
      pod({}, { tolerations: [{ key: 'a' }] }),
    ],
    [
      'changed a toleration by an addition',
      pod({}, { tolerations: [{ key: 'a' }] }),
      pod({}, { tolerations: [{ key: 'a', value: 'x' }] }),
    ],
    ['opened a further port in a NetworkPolicy', policy({ port: 53 }), policy({ port: 53 }, { port: 443 })],
    [
      'removed a safeguard',
      pod({ securityContext: { allowPrivilegeEscalation: false } }),
      pod({ securityContext: {} }),
    ],
    [
      'replaced a volume',
      pod({}, { volumes: [{ name: 'v', emptyDir: {} }] }),
      pod({}, { volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
    ],
    ['set what is desired to be null', pod({ command: null }), pod({ command: ['x'] })],
    ['turned a flag on', pod({}, { hostNetwork: false }), pod({}, { hostNetwork: true })],
    ['put another type in its place', { data: { a: { b: 1 } } }, { data: { a: 'b' } }],
    ['changed a number into its text', { data: { a: 80 } }, { data: { a: '80' } }],
    ['changed the port of a service', service({ port: 80 }), service({ port: 81 })],
  ])('%s', (_name, desired, live) => {
    expect(isSubset(desired, live)).toBe(false);
  });
});

describe('a field that is no longer desired', () => {
  const object = (labels: Record<string, string>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', labels },
  });
  const stamped = (labels: Record<string, string>) => withAppliedHash(object(labels), 'x.dev/applied');

  test('makes the object differ, although it holds all that is desired', () => {
    const live = stamped({ a: '1', b: '2' });
    expect(isApplied(stamped({ a: '1', b: '2' }), live)).toBe(true);
    expect(isSubset(object({ a: '1' }), live)).toBe(true);
    expect(isApplied(stamped({ a: '1' }), live)).toBe(false);
  });

  test('an object that never was applied by us differs', () => {
    expect(isApplied(stamped({ a: '1' }), object({ a: '1' }))).toBe(false);
  });
});

describe('properties', () => {
  const json = fc.jsonValue({ maxDepth: 4 });

  test('every value is a subset of itself, and equal to itself', () => {
    fc.assert(
      fc.property(json, (value) => isSubset(value, structuredClone(value)) && isEqual(value, structuredClone(value))),
    );
  });

  test.each([['toString'], ['constructor'], ['hasOwnProperty']])(
    'a field called %s is a field like any other',
    (name) => {
      for (const value of [[false, ''], { a: 1 }, 'text']) {
        expect(isEqual({ [name]: value }, { [name]: value })).toBe(true);
        expect(isEqual({ [name]: value }, {})).toBe(false);
        expect(isSubset({ [name]: value }, { [name]: value })).toBe(true);
        expect(isSubset({ [name]: value }, {})).toBe(false);
      }
    },
  );

  test('the hash does not depend on the order of keys', () => {
    const reversed = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(reversed);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([name, inner]) => [name, reversed(inner)]),
      );
    };
    fc.assert(fc.property(json, (value) => hashOf(value) === hashOf(reversed(value))));
  });

  test('no live object, however odd, makes it throw', () => {
    fc.assert(
      fc.property(
        json,
        (live) => typeof isSubset(pod({ env: [{ name: 'A' }], ports: [{ containerPort: 1 }] }), live) === 'boolean',
      ),
    );
    const lists = fc.array(json);
    fc.assert(fc.property(lists, (env) => typeof isSubset(pod({ env: [{ name: 'A' }] }), pod({ env })) === 'boolean'));
  });
});
