// The manifests on a real API server: it takes them as they are, and holds people and Kadre to what they may do.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { eventually } from '../support/kubectl.ts';

const root = path.join(import.meta.dirname, '..', '..');
const NAMESPACE = 'shop';
const COLD_MACHINE_MS = 20 * 60_000;

let controlPlane: ControlPlane;

/** Runs kubectl as the administrator, or as somebody else. Rejects with what kubectl complains about. */
function kubectl(args: string[], input = '', as?: string): Promise<string> {
  const all = ['kubectl', '--kubeconfig', controlPlane.adminKubeconfigPath, ...(as ? ['--as', as] : []), ...args];
  return new Promise((resolve, reject) => {
    const child = execFile(
      controlPlane.binaries.kadreCluster,
      all,
      { cwd: root, maxBuffer: 16 * 2 ** 20 },
      (error, out, complaint) => {
        if (error) reject(new Error(complaint || error.message));
        else resolve(out);
      },
    );
    child.stdin?.end(input);
  });
}

const create = (kind: string, name: string, spec: object, as?: string) =>
  kubectl(['create', '-f', '-'], manifest(kind, name, spec), as);

const manifest = (kind: string, name: string, spec: object) =>
  JSON.stringify({ apiVersion: 'kadre.dev/v1alpha1', kind, metadata: { name, namespace: NAMESPACE }, spec });

interface Right {
  verb: string;
  group?: string;
  resource: string;
  name: string;
}

/** One right on one object: in the namespace, or in the cluster where the object has none. */
async function allow(user: string, { verb, group = '', resource, name }: Right, scope = NAMESPACE): Promise<void> {
  const kind = scope === '' ? 'ClusterRole' : 'Role';
  const metadata = { name: `${user}-${verb}-${resource}-${name}`, ...(scope !== '' && { namespace: scope }) };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const rules = [{ apiGroups: [group], resources: [resource], resourceNames: [name], verbs: [verb] }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name: metadata.name };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }];
  const objects = [
    { apiVersion, kind, metadata, rules },
    { apiVersion, kind: `${kind}Binding`, metadata, roleRef, subjects },
  ];
  await kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

const model = (secret: string, baseUrl = 'https://models.example.com') => ({
  provider: 'openaiCompatible',
  model: 'm',
  baseUrl,
  auth: { secretRef: { name: secret, key: 'key' } },
});
const agent = (runtime: object) => ({ model: 'm', instructions: 'Help.', runtime });
const secretRef = (name: string) => ({ secretRef: { name, key: 'key' } });
const mcp = (secret: string, url = 'https://tools.example.com/mcp') => ({ mcp: { url, auth: secretRef(secret) } });
const withTools = (...names: string[]) => ({ ...agent({}), tools: names.map((name) => ({ name })) });
const steps = (...pools: string[]) => ({
  steps: pools.map((pool, i) => ({ name: `s${i}`, container: { image: 'busybox:1.37', gpu: { pool } } })),
});

beforeAll(async () => {
  controlPlane = await startControlPlane();
  await kubectl(['create', 'namespace', NAMESPACE]);
  // The kinds first: the other objects do not need them, but the policies are checked against their schemas.
  await kubectl(['apply', '--server-side', '-k', 'crds']);
  await kubectl([
    'wait',
    '--for=condition=Established',
    'crd',
    '-l',
    'app.kubernetes.io/part-of=kadre',
    '--timeout=60s',
  ]);
  await kubectl(['apply', '--server-side', '-k', 'config/default']);
  // Dora writes Kadre's kinds and nothing else.
  await kubectl(['-n', NAMESPACE, 'create', 'rolebinding', 'dora', '--clusterrole=kadre-editor', '--user=dora']);
  // Policies reach the API server's admission through a watch.
  await eventually('the policies at work', async () => {
    const attempt = kubectl(
      ['create', '--dry-run=server', '-f', '-'],
      manifest('Model', 'probe', model('probe')),
      'dora',
    );
    const refused = await attempt.then(
      () => false,
      (error: unknown) => String(error).includes('kadre-models'),
    );
    const workflow = kubectl(
      ['create', '--dry-run=server', '-f', '-'],
      manifest('Workflow', 'probe', steps('p')),
      'dora',
    );
    const agents = kubectl(
      ['create', '--dry-run=server', '-f', '-'],
      manifest('Agent', 'probe', agent({ serviceAccountName: 'p' })),
      'dora',
    );
    const tools = kubectl(['create', '--dry-run=server', '-f', '-'], manifest('Tool', 'probe', mcp('probe')), 'dora');
    const others = await Promise.allSettled([workflow, agents, tools]);
    return refused && others.every(({ status }) => status === 'rejected');
  });
}, COLD_MACHINE_MS);

afterAll(async () => controlPlane.stop());

describe('a Secret that a Model names', () => {
  test('is refused to whoever may neither get nor use it, with the way to mend it', async () => {
    await expect(create('Model', 'a', model('of-others'), 'dora')).rejects.toThrow(
      /you may neither get nor use Secret of-others; ask for a Role with the verb "use" on it/,
    );
  });

  test('is granted to whoever may use it, though not read it', async () => {
    await allow('dora', { verb: 'use', resource: 'secrets', name: 'granted' });
    await create('Model', 'granted', model('granted'), 'dora');
  });

  test('is granted to whoever may read it anyway', async () => {
    await allow('dora', { verb: 'get', resource: 'secrets', name: 'readable' });
    await create('Model', 'readable', model('readable'), 'dora');
  });

  test('cannot be sent elsewhere by whoever may not use it', async () => {
    await create('Model', 'ours', model('of-others'));
    const elsewhere = JSON.stringify({ spec: { baseUrl: 'https://evil.example.com' } });
    const patch = ['-n', NAMESPACE, 'patch', 'model', 'ours', '--type=merge', '-p'];
    await expect(kubectl([...patch, elsewhere], '', 'dora')).rejects.toThrow(/neither get nor use Secret of-others/);
    // What is no change of the spec needs no right to the Secret.
    await kubectl([...patch, JSON.stringify({ metadata: { labels: { team: 'a' } } })], '', 'dora');
  });

  test('may be absent', async () => {
    await create('Model', 'simulated', { provider: 'simulated' }, 'dora');
  });
});

describe('a Secret that a Tool names', () => {
  test.each<[string, object]>([
    ['an MCP server', mcp('of-others')],
    [
      'an endpoint',
      {
        description: 'Looks up.',
        http: { url: 'https://a.example.com', input: { schema: {} }, auth: secretRef('of-others') },
      },
    ],
    ['an API', { openapi: { url: 'https://a.example.com/openapi.json', auth: secretRef('of-others') } }],
    ['Slack', { builtin: { slack: { auth: secretRef('of-others'), channels: ['#a'] } } }],
    [
      'a mail server',
      { builtin: { email: { host: 'a', from: 'a@b.c', recipients: ['a@b.c'], auth: secretRef('of-others') } } },
    ],
    ['a webhook', { builtin: { webhook: { url: 'https://a.example.com', signature: secretRef('of-others') } } }],
  ])('is refused for %s to whoever may neither get nor use it', async (_, spec) => {
    await expect(create('Tool', 'a', spec, 'dora')).rejects.toThrow(/neither get nor use Secret of-others/);
  });

  test('is granted to whoever may use it, and cannot be opened to more calls by whoever may not', async () => {
    await create('Tool', 'granted', mcp('granted'), 'dora');
    await create('Tool', 'ours', { ...mcp('of-others'), allow: ['read_*'] });
    const wider = JSON.stringify({ spec: { allow: null } });
    const patch = kubectl(['-n', NAMESPACE, 'patch', 'tool', 'ours', '--type=merge', '-p', wider], '', 'dora');
    await expect(patch).rejects.toThrow(/neither get nor use Secret of-others/);
  });

  test('may be absent', async () => {
    await create('Tool', 'calculator', { builtin: { calculator: {} } }, 'dora');
    await create('Tool', 'open', { mcp: { url: 'https://tools.example.com/mcp' } }, 'dora');
  });
});

test('a Tool that runs a Workflow is for whoever may create runs', async () => {
  const spec = { workflow: { name: 'report' } };
  await kubectl(['-n', NAMESPACE, 'create', 'role', 'toolsmith', '--verb=create', '--resource=tools.kadre.dev']);
  await kubectl(['-n', NAMESPACE, 'create', 'rolebinding', 'tess', '--role=toolsmith', '--user=tess']);
  await create('Tool', 'of-tess', { builtin: { calculator: {} } }, 'tess');
  await expect(create('Tool', 'report', spec, 'tess')).rejects.toThrow(/you may not create runs in this namespace/);
  await create('Tool', 'report', spec, 'dora');
});

describe('Knowledge', () => {
  const from = (...sources: object[]) => ({
    model: 'embed',
    sources: sources.map((source, index) => ({ name: `s${index}`, ...source })),
  });
  const site = (name?: string) => ({
    url: 'https://a.example.com/',
    ...(name !== undefined && { auth: secretRef(name) }),
  });

  test('that shows a Secret is refused to whoever may neither get nor use it, at the last source as at the first', async () => {
    await allow('dora', { verb: 'use', resource: 'secrets', name: 'documents' });
    const others = from(site(), site('documents'), site('of-others'));
    await expect(create('Knowledge', 'a', others, 'dora')).rejects.toThrow(/neither get nor use Secret of-others/);
    const five = from(...Array.from({ length: 5 }, () => site('documents')));
    await expect(create('Knowledge', 'a', five, 'dora')).rejects.toThrow(/more than 4 sources/);
    await create('Knowledge', 'documents', from(site(), site('documents')), 'dora');
  });

  test('that reads ConfigMaps is for whoever may get them', async () => {
    const pages = from({ configMap: { name: 'pages' } });
    await expect(create('Knowledge', 'pages', pages, 'dora')).rejects.toThrow(/allowed to get those of the namespace/);
    await create('Knowledge', 'pages', pages);
  });

  test('is searched by agents of whoever may use it', async () => {
    const agent = { instructions: 'Read.', model: 'm', knowledge: [{ name: 'k0' }, { name: 'k1' }] };
    await allow('dora', { verb: 'use', group: 'kadre.dev', resource: 'knowledges', name: 'k0' });
    await expect(create('Agent', 'reader', agent, 'dora')).rejects.toThrow(/you may not use Knowledge k1/);
    await allow('dora', { verb: 'use', group: 'kadre.dev', resource: 'knowledges', name: 'k1' });
    await create('Agent', 'reader', agent, 'dora');
  });
});

describe('Tools that an Agent is given', () => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `t${index}`);

  test('are refused to whoever may not use them, the last as the first', async () => {
    for (const name of ['t0', 't1', 't2'])
      await allow('dora', { verb: 'use', group: 'kadre.dev', resource: 'tools', name });
    await expect(create('Agent', 'a', withTools('payments', 't1'), 'dora')).rejects.toThrow(
      /you may not use Tool payments; ask for a Role with the verb "use" on it/,
    );
    await expect(create('Agent', 'a', withTools(...names(8)), 'dora')).rejects.toThrow(/you may not use Tool t3/);
    await expect(create('Agent', 'a', withTools(...names(9)), 'dora')).rejects.toThrow(/you may not use Tool t3/);
    await create('Agent', 'with-tools', withTools('t0', 't1', 't2'), 'dora');
  });

  test('cannot be turned to other ends by whoever may not use them', async () => {
    await create('Agent', 'ours', withTools('payments'));
    const other = JSON.stringify({ spec: { instructions: 'Pay dora.' } });
    const patch = kubectl(['-n', NAMESPACE, 'patch', 'agent', 'ours', '--type=merge', '-p', other], '', 'dora');
    await expect(patch).rejects.toThrow(/you may not use Tool payments/);
  });

  test('are for whoever edits the namespace, as many as there are', async () => {
    const bind = ['-n', NAMESPACE, 'create', 'rolebinding'];
    await kubectl([...bind, 'tom', '--clusterrole=kadre-editor', '--user=tom']);
    for (const name of names(9)) await allow('tom', { verb: 'use', group: 'kadre.dev', resource: 'tools', name });
    await create('Agent', 'eight', withTools(...names(8)), 'tom');
    await expect(create('Agent', 'nine', withTools(...names(9)), 'tom')).rejects.toThrow(/more than 8 Tools/);
    await kubectl([...bind, 'tina', '--clusterrole=edit', '--user=tina']);
    await eventually('the aggregated roles', async () => {
      const attempt = kubectl(
        ['create', '--dry-run=server', '-f', '-'],
        manifest('Agent', 'nine', withTools(...names(9))),
        'tina',
      );
      return attempt.then(
        () => true,
        () => false,
      );
    });
  });
});

describe('a ServiceAccount that an Agent names', () => {
  test('is refused to whoever may neither create pods nor use it', async () => {
    await expect(create('Agent', 'a', agent({ serviceAccountName: 'robot' }), 'dora')).rejects.toThrow(
      /neither create pods nor use ServiceAccount robot/,
    );
  });

  test('is granted to whoever may use it', async () => {
    await allow('dora', { verb: 'use', resource: 'serviceaccounts', name: 'helper' });
    await create('Agent', 'helped', agent({ serviceAccountName: 'helper' }), 'dora');
  });
});

describe('a GPU pool', () => {
  test('is refused to an Agent of whoever may not use it', async () => {
    await expect(create('Agent', 'a', agent({ gpu: { pool: 'a100' } }), 'dora')).rejects.toThrow(
      /may not use GpuPool a100/,
    );
  });

  test('is refused to a Workflow, wherever in it the pool stands', async () => {
    await allow('dora', { verb: 'use', group: 'kadre.dev', resource: 'gpupools', name: 't4' }, '');
    await create('Workflow', 'allowed', steps('t4', 't4'), 'dora');
    await expect(create('Workflow', 'refused', steps('t4', 't4', 'a100'), 'dora')).rejects.toThrow(
      /may not use GpuPool a100/,
    );
  });

  const onPool = (name: string, pool = 'h100') => ({ name, container: { image: 'i', gpu: { pool } } });
  const inGroups = (depth: number, inner: object): object =>
    depth === 0 ? inner : { name: `level-${depth}`, steps: [inGroups(depth - 1, inner)] };
  test.each<[string, object]>([
    ['in a group', { steps: [inGroups(1, onPool('a'))] }],
    ['in the innermost group that there may be', { steps: [inGroups(4, onPool('a'))] }],
    ['in a race', { steps: [{ name: 'r', race: [{ name: 'v', value: 1 }, onPool('a')] }] }],
    ['in a fallback', { steps: [{ name: 's', value: 1, onError: { fallback: [onPool('a')] } }] }],
    ['at the end', { steps: [{ name: 's', value: 1 }], finally: [inGroups(1, onPool('a'))] }],
    [
      'of an agent in a race in a group',
      {
        steps: [
          {
            name: 'g',
            steps: [{ name: 'r', race: [{ name: 'a', agent: { name: 'a', prompt: 'x', gpu: { pool: 'h100' } } }] }],
          },
        ],
      },
    ],
    ['after one that is allowed', { steps: [inGroups(2, onPool('a', 't4')), inGroups(1, onPool('b'))] }],
  ])('is refused to a Workflow that names it %s, and to a Run that brings these steps', async (_, spec) => {
    await expect(create('Workflow', 'nested', spec, 'dora')).rejects.toThrow(/may not use GpuPool h100/);
    await expect(create('Run', 'nested', { inline: spec }, 'dora')).rejects.toThrow(/may not use GpuPool h100/);
  });

  test('cannot be hidden by steps that nest deeper than anybody looks', async () => {
    const spec = { steps: [inGroups(5, { name: 'v', value: 1 })] };
    await expect(create('Workflow', 'deep', spec, 'dora')).rejects.toThrow(/may be nested five levels deep/);
    await create('Workflow', 'not-too-deep', { steps: [inGroups(4, { name: 'v', value: 1 })] }, 'dora');
  });

  test('is no matter for Runs that bring no steps', async () => {
    await create('Run', 'plain', { workflow: { name: 'allowed' } }, 'dora');
  });

  test('is granted from all pools to whoever is bound to kadre-gpu-user', async () => {
    await kubectl(['create', 'clusterrolebinding', 'gina', '--clusterrole=kadre-gpu-user', '--user=gina']);
    await kubectl(['-n', NAMESPACE, 'create', 'rolebinding', 'gina', '--clusterrole=kadre-editor', '--user=gina']);
    await create('Workflow', 'four', steps('a', 'b', 'c', 'd'), 'gina');
    await expect(create('Workflow', 'five', steps('a', 'b', 'c', 'd', 'e'), 'gina')).rejects.toThrow(
      /at most 4 GPU pools/,
    );
  });
});

describe('a Tool that a step calls', () => {
  const calling = (name: string, tool: string) => ({ name, tool: { name: tool } });
  const race = { name: 'r', race: [{ name: 'v', value: 1 }, calling('b', 'payments')] };
  beforeAll(() => allow('dora', { verb: 'use', group: 'kadre.dev', resource: 'tools', name: 'dates' }));

  test.each<[string, object]>([
    ['at the top', { steps: [calling('a', 'payments')] }],
    ['after one that is allowed', { steps: [calling('a', 'dates'), calling('b', 'payments')] }],
    ['in a race in a group', { steps: [{ name: 'g', steps: [calling('a', 'dates'), race] }] }],
    ['in a fallback', { steps: [{ name: 's', value: 1, onError: { fallback: [calling('a', 'payments')] } }] }],
    ['at the end', { steps: [{ name: 's', value: 1 }], finally: [calling('a', 'payments')] }],
  ])('%s is refused to whoever may not use it, also in a Run', async (_, spec) => {
    await expect(create('Workflow', 'calls', spec, 'dora')).rejects.toThrow(
      /spec.steps: you may not use Tool payments/,
    );
    await expect(create('Run', 'calls', { inline: spec }, 'dora')).rejects.toThrow(/you may not use Tool payments/);
  });

  test('is granted to whoever may use it, up to eight of them, or to whoever may use all', async () => {
    const many = (count: number) => ({
      steps: Array.from({ length: count }, (_, i) => calling(`s${i}`, `w${i}`)).flatMap((step) => [
        step,
        { ...step, name: `again-${step.name}` },
      ]),
    });
    for (let i = 0; i < 9; i++)
      await allow('dora', { verb: 'use', group: 'kadre.dev', resource: 'tools', name: `w${i}` });
    await create('Workflow', 'calls-eight', many(8), 'dora');
    await expect(create('Workflow', 'calls-nine', many(9), 'dora')).rejects.toThrow(/more than 8 Tools/);
    await create('Workflow', 'calls-nine', many(9));
  });
});

describe('rights in the cluster', () => {
  const can = async (as: string, ...what: string[]) =>
    (await kubectl(['auth', 'can-i', ...what], '', as).catch(() => 'no')).trim();
  const kadre = 'system:serviceaccount:kadre-system:kadre';

  test.each([
    ['list runs everywhere', 'yes', ['list', 'runs.kadre.dev', '-A']],
    ['write the status of a run', 'yes', ['patch', 'runs.kadre.dev', '--subresource=status', '-n', NAMESPACE]],
    ['make Jobs', 'yes', ['create', 'jobs.batch', '-n', NAMESPACE]],
    ['renew its lease', 'yes', ['update', 'leases.coordination.k8s.io', '-n', 'kadre-system']],
    ['hold leases of others', 'no', ['update', 'leases.coordination.k8s.io', '-n', NAMESPACE]],
    ['list Secrets', 'no', ['list', 'secrets', '-A']],
    ['change a run', 'no', ['patch', 'runs.kadre.dev', '-n', NAMESPACE]],
    ['run commands in pods', 'no', ['create', 'pods', '--subresource=exec', '-n', NAMESPACE]],
    ['make sandboxes', 'yes', ['create', 'pods', '-n', NAMESPACE]],
    ['change pods', 'no', ['patch', 'pods', '-n', NAMESPACE]],
  ])('the control plane may %s: %s', async (_what, answer, question) => {
    expect(await can(kadre, ...question)).toBe(answer);
  });

  test('whoever edits a namespace edits its agents, and whoever views it views them', async () => {
    await kubectl(['-n', NAMESPACE, 'create', 'rolebinding', 'ed', '--clusterrole=edit', '--user=ed']);
    await kubectl(['-n', NAMESPACE, 'create', 'rolebinding', 'vi', '--clusterrole=view', '--user=vi']);
    // Roles are aggregated by the controller manager.
    await eventually(
      'the aggregated roles',
      async () => (await can('ed', 'create', 'agents.kadre.dev', '-n', NAMESPACE)) === 'yes',
    );
    await eventually(
      'the aggregated roles',
      async () => (await can('vi', 'list', 'runs.kadre.dev', '-n', NAMESPACE)) === 'yes',
    );
    expect(await can('vi', 'create', 'runs.kadre.dev', '-n', NAMESPACE)).toBe('no');
    expect(await can('ed', 'patch', 'runs.kadre.dev', '--subresource=status', '-n', NAMESPACE)).toBe('no');
  });
});

test('kadre-system admits the pod of the control plane and nothing less restricted', async () => {
  const pods = async () =>
    kubectl(['-n', 'kadre-system', 'get', 'pods', '-l', 'app.kubernetes.io/name=kadre', '-o', 'name']);
  await eventually('the pod admitted', async () => (await pods()).trim() !== '');
  const loose = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'loose', namespace: 'kadre-system' } };
  const spec = { containers: [{ name: 'c', image: 'busybox:1.37' }] };
  await expect(kubectl(['create', '-f', '-'], JSON.stringify({ ...loose, spec }))).rejects.toThrow(
    /violates PodSecurity "restricted/,
  );
});
