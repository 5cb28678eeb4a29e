import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { glob } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { kinds } from '@kadre/crds';
import { type KindName, type StoredObject, KindCluster, path } from './cluster.ts';

const COLD_MACHINE = 20 * 60_000;
const names = Object.keys(kinds) as KindName[];

let cluster: KindCluster;
beforeAll(async () => {
  cluster = await KindCluster.start();
}, COLD_MACHINE);
afterAll(() => cluster.stop());

/** The least that a kind takes. */
const minimal: Record<KindName, object> = {
  Agent: { instructions: 'Be brief.', model: 'gpt' },
  Model: { provider: 'simulated' },
  Tool: { builtin: { calculator: {} } },
  Workflow: { steps: [{ name: 'one', container: { image: 'busybox:1' } }] },
  Run: { workflow: { name: 'article' } },
  Approval: { run: 'article-1', step: 'sign-off', attempt: 1, message: 'Publish?' },
  Trigger: {
    schedule: { cron: '0 6 * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' },
    start: { workflow: { name: 'article' } },
  },
  Knowledge: { model: 'embed', sources: [{ name: 'pages', configMap: { name: 'pages' } }] },
  Budget: { period: 'month', limits: { costUsd: '50' } },
  GpuPool: {},
};

interface Published {
  description?: string;
  properties?: Record<string, Published>;
  items?: Published;
  additionalProperties?: Published | boolean;
}

function undescribed(schema: Published, at: string): string[] {
  if (at === '.metadata') return [];
  const { properties = {}, items, additionalProperties } = schema;
  return [
    ...(schema.description ? [] : [at]),
    ...Object.entries(properties).flatMap(([name, child]) => undescribed(child, `${at}.${name}`)),
    ...(items ? undescribed(items, `${at}[]`) : []),
    ...(typeof additionalProperties === 'object' ? undescribed(additionalProperties, `${at}{}`) : []),
  ];
}

describe.each(names)('%s', (name) => {
  const { plural, shortNames } = kinds[name];

  test('is established, with a structural schema and all of its names', async () => {
    const { status } = await cluster.definition(name);
    const held = status.conditions.filter((condition) => condition.status === 'True').map(({ type }) => type);
    expect(held.sort()).toEqual(['Established', 'NamesAccepted']);
    for (const short of shortNames) await expect(cluster.kubectl(['get', short])).resolves.toBe('');
  });

  test('is explained by kubectl, field by field', async () => {
    expect(undescribed(await cluster.publishedSchema<Published>(name), '')).toEqual([]);
    const explained = await cluster.kubectl(['explain', plural]);
    expect(explained.replaceAll(/\s+/g, ' ')).toContain(kinds[name].description);
  });

  test('is unsettled for kstatus until the operator has seen it', async () => {
    const { status, body } = await cluster.create(name, { spec: minimal[name] });
    expect(status).toBe(201);
    const { body: stored } = await cluster.get(name, body.metadata.name);
    expect(stored).toMatchObject({ metadata: { generation: 1 }, status: { observedGeneration: -1 } });
  });

  test('keeps spec and status apart', async () => {
    const { body } = await cluster.create(name, { spec: minimal[name], status: { observedGeneration: 7 } });
    const condition = {
      type: 'Ready',
      status: 'True',
      reason: 'Ready',
      message: 'Ready.',
      lastTransitionTime: '2026-01-02T03:04:05Z',
      observedGeneration: 1,
    };
    const status = { observedGeneration: 1, conditions: [condition] };
    const { body: reported } = await cluster.merge(name, `${body.metadata.name}/status`, { status, spec: null });
    expect(reported).toMatchObject({ metadata: { generation: 1 }, spec: minimal[name], status });
  });
});

describe('defaults', () => {
  const filled: [KindName, object, object][] = [
    [
      'Agent',
      {
        ...minimal.Agent,
        serving: { autoscaling: { maxReplicas: 3 }, expose: { host: 'a.example.com', ingress: {} } },
      },
      {
        serving: {
          replicas: 1,
          logLevel: 'info',
          autoscaling: { minReplicas: 1, maxReplicas: 3, targetCpu: 70 },
          expose: { path: '/' },
        },
      },
    ],
    ['Agent', { ...minimal.Agent, runtime: { gpu: { pool: 'a100' } } }, { runtime: { gpu: { count: 1 } } }],
    [
      'Tool',
      { builtin: { http: { hosts: ['example.com'] } } },
      { builtin: { http: { methods: ['GET'] } }, trust: 'untrusted', consequential: false },
    ],
    [
      'Knowledge',
      {
        model: 'embed',
        sources: [{ name: 'git', git: { url: 'https://a.b/c' }, auth: { secretRef: { name: 's', key: 'k' } } }],
      },
      { chunking: { characters: 1200, overlap: 150 }, trust: 'untrusted', sources: [{ auth: { scheme: 'bearer' } }] },
    ],
    [
      'Workflow',
      {
        steps: [{ name: 'one', container: { image: 'i' }, forEach: { items: [] }, retry: { limit: 1, backoff: {} } }],
      },
      { steps: [{ forEach: { as: 'item' }, retry: { backoff: { initial: '1s', factor: 2, max: '5m' } } }] },
    ],
    [
      'Trigger',
      {
        webhook: {
          auth: { hmac: { secretRef: { name: 'hook', key: 'k' }, header: 'X-Sig', timestampHeader: 'X-Time' } },
        },
        start: { workflow: { name: 'article' } },
        historyLimit: {},
      },
      {
        webhook: { auth: { hmac: { algorithm: 'sha256', encoding: 'hex', tolerance: '5m' } }, remember: '1h' },
        historyLimit: { successful: 3, failed: 3 },
      },
    ],
    ['Budget', minimal.Budget, { timeZone: 'UTC', action: 'block', warnAt: 80 }],
    [
      'GpuPool',
      { queue: { name: 'training' } },
      { resourceName: 'nvidia.com/gpu', queue: { label: 'kueue.x-k8s.io/queue-name', name: 'training' } },
    ],
  ];
  test.each(filled)('%s: are filled in by the API server', async (name, spec, expected) => {
    const { message, body } = await cluster.judge(name, { spec });
    expect(message).toBe('');
    expect(body.spec).toMatchObject(expected);
  });

  test('leave out what was left out: an agent without serving is not served', async () => {
    const { body } = await cluster.judge('Agent', { spec: minimal.Agent });
    expect(body.spec).toEqual(minimal.Agent);
  });
});

test('any JSON comes back as it went in', async () => {
  const input = { list: [1, 2.5, 'drei', null, true, [[]]], nested: { 'a.b/c': {}, ü: '$(input.n * 2)' }, zero: 0 };
  const schema = { type: 'object', anyOf: [{ required: ['a'] }], properties: { a: { $ref: '#/definitions/a' } } };
  const run = await cluster.create('Run', { spec: { ...minimal.Run, input } });
  const agent = await cluster.create('Agent', { spec: { ...minimal.Agent, output: { schema } } });
  expect(run.body.spec.input).toEqual(input);
  expect(agent.body.spec.output).toEqual({ schema });
});

describe('kubectl get', () => {
  const ready = (status: string, reason: string) => [
    { type: 'Ready', status, reason, message: 'Create the Model gpt.', lastTransitionTime: '2026-01-02T03:04:05Z' },
  ];

  const tables: [KindName, object, object, string[], string[]][] = [
    [
      'Run',
      minimal.Run,
      { phase: 'Running', progress: '3/7', usage: { inputTokens: 1, outputTokens: 2, costUsd: '0.0123' } },
      ['WORKFLOW', 'AGENT', 'PHASE', 'PROGRESS', 'COST', 'AGE'],
      ['article', '', 'Running', '3/7', '0.0123'],
    ],
    [
      'Agent',
      { ...minimal.Agent, serving: {} },
      { replicas: 2, readyReplicas: 1, conditions: ready('False', 'ModelNotFound') },
      ['MODEL', 'READY', 'REASON', 'REPLICAS', 'AGE'],
      ['gpt', 'False', 'ModelNotFound', '2'],
    ],
    [
      'Model',
      { provider: 'openaiCompatible', model: 'llama', baseUrl: 'http://vllm' },
      { conditions: ready('True', 'Ready') },
      ['PROVIDER', 'ROUTE', 'MODEL', 'READY', 'REASON', 'AGE'],
      ['openaiCompatible', '', 'llama', 'True', 'Ready'],
    ],
    [
      'Tool',
      { description: 'Computes.', ...minimal.Tool },
      { server: 'kadre', conditions: ready('False', 'Unreachable') },
      ['READY', 'REASON', 'AGE'],
      ['False', 'Unreachable'],
    ],
    [
      'Knowledge',
      minimal.Knowledge,
      { documents: 2, chunks: 9, indexed: 4, conditions: ready('False', 'Indexing') },
      ['MODEL', 'DOCUMENTS', 'CHUNKS', 'INDEXED', 'READY', 'REASON', 'AGE'],
      ['embed', '2', '9', '4', 'False', 'Indexing'],
    ],
    [
      'Workflow',
      minimal.Workflow,
      { steps: 1, conditions: ready('True', 'Ready') },
      ['STEPS', 'READY', 'REASON', 'AGE'],
      ['1', 'True', 'Ready'],
    ],
    [
      'Approval',
      minimal.Approval,
      { phase: 'Approved', decidedBy: 'ann' },
      ['RUN', 'STEP', 'PHASE', 'DECIDED BY', 'AGE'],
      ['article-1', 'sign-off', 'Approved', 'ann'],
    ],
    [
      'Trigger',
      minimal.Trigger,
      {
        cause: 'Schedule',
        active: 1,
        lastRun: { name: 'daily-1' },
        nextScheduleTime: '2026-01-02T06:00:00Z',
        conditions: ready('True', 'Ready'),
      },
      ['CAUSE', 'WORKFLOW', 'READY', 'REASON', 'ACTIVE', 'LAST RUN', 'NEXT', 'AGE'],
      ['Schedule', 'article', 'True', 'Ready', '1', 'daily-1', '2026-01-02T06:00:00Z'],
    ],
    [
      'Budget',
      minimal.Budget,
      {
        spent: { costUsd: '50.01' },
        left: { costUsd: '0' },
        conditions: [...ready('True', 'Enforced'), { ...ready('True', 'LimitReached')[0], type: 'Exceeded' }],
      },
      ['PERIOD', 'LIMIT', 'SPENT', 'LEFT', 'EXCEEDED', 'READY', 'AGE'],
      ['month', '50', '50.01', '0', 'True', 'True'],
    ],
    [
      'GpuPool',
      minimal.GpuPool,
      { capacity: 8, inUse: 3, waiting: 2, nodes: 1, conditions: ready('True', 'Ready') },
      ['RESOURCE', 'CAPACITY', 'IN USE', 'WAITING', 'READY', 'AGE'],
      ['nvidia.com/gpu', '8', '3', '2', 'True'],
    ],
  ];
  test.each(tables)('%s: answers at a glance', async (name, spec, status, columns, values) => {
    const { body } = await cluster.create(name, { spec });
    await cluster.merge(name, `${body.metadata.name}/status`, { status });
    const table = await cluster.kubectl(['get', kinds[name].plural, body.metadata.name]);
    const [head = '', row = ''] = table.split('\n');
    expect(head.split(/ {2,}/)).toEqual(['NAME', ...columns]);
    expect(cells(head, row).slice(1, -1)).toEqual(values);
  });

  test('says more with -o wide: what is wrong, and where the agent answers', async () => {
    const { body } = await cluster.create('Agent', { spec: minimal.Agent });
    const status = { url: 'http://agent.default', conditions: ready('False', 'ModelNotFound') };
    await cluster.merge('Agent', `${body.metadata.name}/status`, { status });
    const table = await cluster.kubectl(['get', 'agents', body.metadata.name, '-o', 'wide']);
    expect(table).toContain('http://agent.default');
    expect(table).toContain('Create the Model gpt.');
  });

  test('lists all kinds by their category', async () => {
    const listed = await cluster.kubectl(['get', 'kadre', '-o', 'name']);
    for (const name of names) expect(listed).toContain(`${kinds[name].singular}.kadre.dev/`);
  });
});

/** The cells of a row; a cell begins where its column does. */
function cells(head: string, row: string): string[] {
  const starts = [...head.matchAll(/\S+(?: \S+)*/g)].map(({ index }) => index);
  return starts.map((start, column) => row.slice(start, starts[column + 1]).trim());
}

describe('kubectl scale', () => {
  async function served(serving: object): Promise<string> {
    const { body } = await cluster.create('Agent', { spec: { ...minimal.Agent, serving } });
    return body.metadata.name;
  }
  const scaleOf = async (agent: string) => (await cluster.call('GET', `${path('Agent')}/${agent}/scale`)).body;

  test('reads and changes the number of pods of an agent', async () => {
    const agent = await served({});
    const status = { replicas: 1, selector: 'kadre.dev/agent=a' };
    await cluster.merge('Agent', `${agent}/status`, { status });
    expect(await scaleOf(agent)).toMatchObject({ spec: { replicas: 1 }, status });
    await cluster.kubectl(['scale', `agents/${agent}`, '--replicas=5']);
    expect((await cluster.get('Agent', agent)).body).toMatchObject({ spec: { serving: { replicas: 5 } } });
    const wished = { ...(await scaleOf(agent)), spec: { replicas: 3 } };
    expect(await cluster.call('PUT', `${path('Agent')}/${agent}/scale`, wished)).toMatchObject({ status: 200 });
    expect(await scaleOf(agent)).toMatchObject({ spec: { replicas: 3 } });
  });

  test('pauses and resumes an agent that scales by itself, but does not choose its number of pods', async () => {
    const agent = await served({ autoscaling: { maxReplicas: 4 } });
    await expect(cluster.kubectl(['scale', `agents/${agent}`, '--replicas=3'])).rejects.toThrow(
      'autoscaling chooses the number of pods; remove replicas or scale autoscaling.maxReplicas',
    );
    for (const replicas of [0, 1]) {
      await cluster.kubectl(['scale', `agents/${agent}`, `--replicas=${replicas}`]);
      expect((await cluster.get('Agent', agent)).body).toMatchObject({ spec: { serving: { replicas } } });
    }
  });

  test('serves an agent that was not served', async () => {
    const { body } = await cluster.create('Agent', { spec: minimal.Agent });
    expect(await cluster.call('GET', `${path('Agent')}/${body.metadata.name}/scale`)).toMatchObject({
      status: 500,
      message: expect.stringContaining('.spec.serving.replicas'),
    });
    await cluster.kubectl(['scale', `agents/${body.metadata.name}`, '--replicas=2']);
    expect((await cluster.get('Agent', body.metadata.name)).body).toMatchObject({
      spec: { serving: { replicas: 2, logLevel: 'info' } },
    });
  });
});

describe('server-side apply', () => {
  const steps = (...list: string[]) => ({
    spec: { steps: list.map((name) => ({ name, container: { image: 'busybox:1' } })) },
  });
  const order = async (workflow: string) =>
    ((await cluster.get('Workflow', workflow)).body.spec.steps as { name: string }[]).map(({ name }) => name);

  // Each step runs after the one above: an order that apply lost would be another workflow.
  test('keeps the order of steps as they are inserted, moved and removed', async () => {
    const versions = [
      ['a', 'c'],
      ['a', 'b', 'c'],
      ['z', 'a', 'b', 'c'],
      ['c', 'b', 'a', 'z'],
      ['c', 'a'],
      ['a', 'y', 'c', 'x'],
    ];
    for (const version of versions) {
      expect(await cluster.apply('Workflow', 'ordered', steps(...version), 'gitops')).toMatchObject({ message: '' });
      expect(await order('ordered')).toEqual(version);
    }
  });

  test('lets two managers own different fields, and tells them when they want the same', async () => {
    const first = { spec: { ...minimal.Agent, runtime: { env: [{ name: 'A', value: '1' }] } } };
    await cluster.apply('Agent', 'shared', first, 'team');
    const second = { spec: { runtime: { env: [{ name: 'B', value: '2' }] } } };
    expect(await cluster.apply('Agent', 'shared', second, 'platform')).toMatchObject({ message: '' });
    expect((await cluster.get('Agent', 'shared')).body).toMatchObject({
      spec: { runtime: { env: [{ name: 'A' }, { name: 'B' }] } },
    });
    const contested = { spec: { runtime: { env: [{ name: 'A', value: '3' }] } } };
    expect(await cluster.apply('Agent', 'shared', contested, 'platform')).toMatchObject({
      status: 409,
      message: expect.stringContaining('conflict with "team": .spec.runtime.env[name="A"].value'),
    });
  });

  test('of the same manifest again changes nothing', async () => {
    const agent = { spec: { ...minimal.Agent, serving: { endpoints: [{ path: '/a', prompt: 'Answer.' }] } } };
    const versions: StoredObject['metadata'][] = [];
    for (let time = 0; time < 4; time++) {
      const { body } = await cluster.apply('Agent', 'again', agent, 'gitops');
      versions.push(body.metadata);
    }
    expect(versions.map(({ generation }) => generation)).toEqual([1, 1, 1, 1]);
    // The second time, the API server stores the default of the status that it dropped when it created the object.
    expect(new Set(versions.slice(1).map(({ resourceVersion }) => resourceVersion)).size).toBe(1);
  });
});

test('the examples are accepted as they are', async () => {
  const root = join(dirname(import.meta.dirname), '..', '..');
  const files: string[] = [];
  for await (const file of glob('examples/**/*.yaml', { cwd: root })) files.push(file);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    await expect(cluster.kubectl(['create', '--dry-run=server', '-f', join(root, file)])).resolves.toContain('created');
  }
});
