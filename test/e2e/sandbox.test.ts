// Code that an agent wrote, on real pods: each program has a pod of its own, and finds nothing in it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import { createRun, example, finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const API = 'kadre.dev/v1alpha1';
const POOL = 'kadre.dev/sandbox-pool';
const MINUTES = 60_000;

type Program = Record<string, string>;
const python = (source: string): Program => ({ language: 'python', source });

/** By the prompt that leads to it. */
const programs: Record<string, Program> = {
  'in-python': python('print(6 * 7)'),
  'in-javascript': { language: 'javascript', source: 'console.log(6 * 7)' },
  'in-shell': { language: 'shell', source: 'echo $((6 * 7))' },
  token: python(
    'import os\nprint(os.path.exists("/var/run/secrets"), [n for n in os.environ if "KADRE_S" in n or "KUBE" in n], os.uname().nodename)',
  ),
  network: python(
    [
      'import socket',
      'for family in (socket.AF_INET, socket.AF_INET6):',
      '  try: socket.socket(family, socket.SOCK_STREAM)',
      '  except OSError as error: print(type(error).__name__)',
    ].join('\n'),
  ),
  memory: python('x = []\nwhile True: x.append(bytearray(8 << 20))'),
  time: python('print("begun", flush=True)\nwhile True: pass'),
  sleep: python('import time, uuid\ntime.sleep(3)\nprint("slept")'),
};

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-sandbox');
  const script = [
    { matchToolResult: '.', reply: '$(toolResult)' },
    ...Object.entries(programs).map(([match, program]) => ({
      match,
      reply: '',
      toolCalls: [{ name: 'code', arguments: JSON.stringify(program) }],
    })),
  ];
  const objects = [
    {
      kind: 'Tool',
      metadata: { name: 'code' },
      spec: { builtin: { code: { memory: '128Mi', cpu: '200m', warm: 2 } }, timeout: '10s' },
    },
    { kind: 'Model', metadata: { name: 'programmer' }, spec: { provider: 'simulated', simulated: { script } } },
    {
      kind: 'Agent',
      metadata: { name: 'coder' },
      spec: { instructions: 'Write programs.', model: 'programmer', tools: [{ name: 'code' }], serving: {} },
    },
  ];
  for (const object of objects) await kubectl.apply(JSON.stringify({ apiVersion: API, ...object }));
  await ready(kubectl, 'tool', 'code');
  await ready(kubectl, 'agent', 'coder');
  await warm(2);
}, 10 * MINUTES);
afterAll(() => removeNamespace(kubectl));

const pods = (): Promise<KubeObject[]> => kubectl.list('pods', '-l', POOL);
const isReady = ({ metadata, status }: KubeObject): boolean =>
  !('deletionTimestamp' in metadata) &&
  (status?.conditions as { type: string; status: string }[] | undefined)?.some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  ) === true;

const warm = (count: number): Promise<string[]> =>
  eventually(`${count} sandboxes`, async () => {
    const all = await pods();
    const names = all.filter(isReady).map(({ metadata }) => metadata.name);
    if (names.length === count && all.length === count) return names;
    throw new Error(all.map(({ metadata, status }) => `${metadata.name}: ${status?.phase}`).join(', '));
  });

async function ask(prompt: string, agent = 'coder'): Promise<string> {
  const run = await createRun(kubectl, 'code-', { agent: { name: agent, prompt } });
  const { phase, output, message } = (await finished(kubectl, run))['status'] as Record<string, string>;
  return phase === 'Succeeded' ? (output ?? '') : `${phase ?? ''}: ${message ?? ''}`;
}

describe('code of an agent', () => {
  test.each(['in-python', 'in-javascript', 'in-shell'])(
    'runs %s',
    async (prompt) => expect(await ask(prompt)).toBe('Exit code 0.\n\nstdout:\n42\n'),
    5 * MINUTES,
  );

  test('finds no token, no key and no name of the cluster', async () => {
    expect(await ask('token')).toContain('stdout:\nFalse [] sandbox\n');
  }, 300_000);

  test('has no network', async () => {
    expect(await ask('network')).toContain('stdout:\nPermissionError\nPermissionError\n');
  }, 300_000);

  test('is stopped when it takes more memory or time than it may', async () => {
    expect(await ask('memory')).toMatch(/^Error: It was stopped: The program needed more than 128 MiB of memory/);
    expect(await ask('time')).toMatch(/^Error: It was stopped: The program took longer than 10 s\.[^]*begun/);
  }, 300_000);

  test('has a pod of its own, which is gone afterwards, and others stand ready again', async () => {
    const before = await warm(2);
    const answers = await Promise.all([ask('sleep'), ask('sleep')]);
    expect(answers).toEqual(answers.map(() => 'Exit code 0.\n\nstdout:\nslept\n'));
    const after = await warm(2);
    expect(after.filter((name) => before.includes(name))).toEqual([]);
    const tool = await eventually('the status', async () => {
      const object = await kubectl.get('tool', 'code');
      return object?.['status'].warm === 2 ? object : undefined;
    });
    expect(tool['status'].conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
  }, 300_000);

  test('runs in the example, and without its Tool no sandbox is left', async () => {
    await kubectl.apply(await example('tools/code'));
    await ready(kubectl, 'agent', 'analyst');
    expect(await ask('How many primes are there below 1000?', 'analyst')).toBe('Exit code 0.\n\nstdout:\n168\n');
    await kubectl.run(['delete', 'tool', 'code']);
    await eventually('no pods', async () => (await pods()).length === 0);
    await eventually('no wall', async () => (await kubectl.list('networkpolicies', '-l', POOL)).length === 0);
  }, 300_000);
});
