// What the control plane and people may do, as a reviewer would look at it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

interface Role {
  kind: string;
  metadata: { name: string };
  rules: Rule[];
}

const folder = path.join(import.meta.dirname, '..', '..', 'config', 'rbac');

function roles(file: string): Role[] {
  const documents = parseAllDocuments(readFileSync(path.join(folder, file), 'utf8'));
  return documents.map((document) => document.toJS() as Role);
}

/** One line for each right: group/resource verb, with the names that it is confined to, if it is. */
function rights({ rules }: Role): string[] {
  const lines = rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) => {
    const names = resourceNames ? `[${resourceNames.join(', ')}]` : '';
    return apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${group || 'core'}/${resource}${names} ${verb}`)),
    );
  });
  return [...new Set(lines)].sort();
}

const controlPlane = roles('role.yaml');
const alone = roles('alone.yaml');
const people = roles('people.yaml');
const all = [...controlPlane, ...alone, ...people].map((role) => [`${role.kind} ${role.metadata.name}`, role] as const);

describe.each(all)('%s', (_name, role) => {
  test('has exactly the rights that were reviewed', () => {
    expect(rights(role)).toMatchSnapshot();
  });

  test.each([
    ['a wildcard', /\*/],
    ['the rights of others to give away', / (escalate|bind|impersonate)$/],
    ['commands in pods', /^core\/pods\/(exec|attach|portforward|proxy)/],
    ['many Secrets at once', /^core\/secrets (list|watch|deletecollection)$/],
    ['Secrets to write', /^core\/secrets (create|update|patch|delete)$/],
    ['tokens of ServiceAccounts', /^core\/serviceaccounts\/token/],
    ['roles and bindings', /^rbac\.authorization\.k8s\.io\//],
    ['nodes to write', /^core\/nodes\S* (create|update|patch|delete)/],
  ])('does not have %s', (_what, forbidden) => {
    expect(rights(role).filter((right) => forbidden.test(right))).toEqual([]);
  });
});

describe('the control plane', () => {
  test('never writes the spec of what people own, except the finalizers of a GpuPool; it asks and starts, but does not decide', () => {
    const cluster = controlPlane.find(({ kind }) => kind === 'ClusterRole');
    const writes = rights(cluster ?? { kind: '', metadata: { name: '' }, rules: [] }).filter((right) =>
      /^kadre\.dev\/[a-z]+ (create|update|patch|delete)/.test(right),
    );
    expect(writes).toEqual([
      'kadre.dev/approvals create',
      'kadre.dev/approvals delete',
      'kadre.dev/gpupools patch',
      'kadre.dev/runs create',
      'kadre.dev/runs delete',
    ]);
  });

  test('holds its lease in its own namespace alone', () => {
    const [, role] = controlPlane;
    expect(role?.kind).toBe('Role');
    expect(rights(role as Role).every((right) => right.startsWith('coordination.k8s.io/leases '))).toBe(true);
  });
});

describe.each(alone.map((role) => [role.metadata.name, role] as const))('%s, which runs alone', (name, role) => {
  test('may do nothing that not all roles together may', () => {
    const whole = rights(controlPlane[0] as Role);
    expect(rights(role).filter((right) => !whole.includes(right))).toEqual([]);
  });

  test('only reads, but for what it is there for', () => {
    const purpose: Record<string, string[]> = {
      'kadre-engine': [],
      'kadre-gateway': ['authentication.k8s.io/tokenreviews create'],
      'kadre-server': [
        'authentication.k8s.io/tokenreviews create',
        'authorization.k8s.io/subjectaccessreviews create',
        'kadre.dev/runs create',
      ],
    };
    expect(rights(role).filter((right) => !/ (get|list|watch)$/.test(right))).toEqual(purpose[name]);
  });
});

describe('people', () => {
  test('write no status: it says what Kadre found', () => {
    expect(people.flatMap(rights).filter((right) => right.includes('/status '))).toEqual([]);
  });
});
