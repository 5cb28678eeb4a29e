import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { agentSpec, customResourceDefinition, dnsLabel, kinds, objectSchema, workflowSpec } from './index.ts';
import type { Kind, StructuralSchema } from './index.ts';

const all: [string, Kind][] = Object.entries(kinds);

function nodes(schema: StructuralSchema, path: string): [string, StructuralSchema][] {
  const children = Object.entries(schema.properties ?? {}).flatMap(([name, child]) => nodes(child, `${path}.${name}`));
  const items = schema.items ? nodes(schema.items, `${path}[]`) : [];
  const values = schema.additionalProperties ? nodes(schema.additionalProperties, `${path}{}`) : [];
  return [[path, schema], ...children, ...items, ...values];
}

describe.each(all)('%s', (name, kind) => {
  const schema = nodes(objectSchema(kind), name);

  test('describes every field in a sentence, but for the one that the API server describes', () => {
    const wrong = schema.filter(([, { description = '' }]) => !/^[A-Za-z].*[.]$/.test(description));
    expect(wrong.map(([path]) => path)).toEqual([`${name}.metadata`]);
  });

  test('bounds every string and list of its spec, so that rules stay cheap and objects small', () => {
    const spec = schema.filter(([path]) => path.startsWith(`${name}.spec`));
    const unbounded = spec.filter(
      ([, node]) =>
        (node.type === 'string' && node.maxLength === undefined && node.enum === undefined) ||
        (node.type === 'array' && node.maxItems === undefined) ||
        (node.additionalProperties !== undefined && node.maxProperties === undefined),
    );
    expect(unbounded.map(([path]) => path)).toEqual([]);
  });

  test('has rules whose messages fit on a line and speak to the reader', () => {
    const rules = schema.flatMap(([, node]) => node['x-kubernetes-validations'] ?? []);
    const wrong = rules.filter(
      ({ message }) => message.length > 200 || message.includes('\n') || message.endsWith('.'),
    );
    expect(wrong).toEqual([]);
  });

  test('has defaults that its own schema accepts', () => {
    const wrong = schema.filter(
      ([, node]) =>
        node.default !== undefined &&
        ((node.enum && !node.enum.includes(node.default as string)) ||
          (node.pattern !== undefined && !new RegExp(node.pattern).test(node.default as string))),
    );
    expect(wrong.map(([path]) => path)).toEqual([]);
  });

  test('has no field whose name YAML 1.1 would read as a boolean', () => {
    const fields = schema.map(([path]) => path.slice(path.lastIndexOf('.') + 1));
    expect(fields.filter((field) => /^(y|n|yes|no|on|off|true|false)$/i.test(field))).toEqual([]);
  });

  test('stays far below the 262,144 bytes that client-side apply can keep', () => {
    expect(JSON.stringify(customResourceDefinition(kind)).length).toBeLessThan(262_144 / 4);
  });

  test('is read by kstatus as unsettled until the operator has seen it', () => {
    expect(objectSchema(kind).properties?.status?.default).toEqual({ observedGeneration: -1 });
  });

  test('has short names of its own', () => {
    const taken = ['po', 'svc', 'deploy', 'wf', 'wfs', 'ag', 'agent', 'agents', 'model', 'models', 'run', 'runs', 'mc'];
    expect(kind.shortNames.filter((short) => taken.includes(short))).toEqual([]);
  });
});

test('kinds do not share a name', () => {
  const names = all.flatMap(([, { plural, singular, shortNames }]) => [plural, singular, ...shortNames]);
  expect(names).toHaveLength(new Set(names).size);
});

test('every kind is installed with the others', () => {
  const kustomization = readFileSync(new URL('../kustomization.yaml', import.meta.url), 'utf8');
  const missing = all.filter(([, { plural }]) => !kustomization.includes(`- manifests/${plural}.yaml\n`));
  expect(missing.map(([name]) => name)).toEqual([]);
});

test('the same schemas judge and fill in manifests outside a cluster', () => {
  const agent = agentSpec.parse({ instructions: 'Be brief.', model: 'm', serving: { expose: { host: 'a.b' } } });
  expect(agent.serving).toEqual({ replicas: 1, logLevel: 'info', expose: { host: 'a.b', path: '/' } });
  expect(workflowSpec.safeParse({ steps: [] }).success).toBe(false);
  expect(dnsLabel.safeParse('Not A Name').success).toBe(false);
});
