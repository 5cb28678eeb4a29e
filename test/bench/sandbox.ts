// Code on a cluster: from the call of the tool to what the program printed, with a sandbox that stands ready and without one.
import type { Connection } from '@kadre/operator';
import { SYSTEM_NAMESPACE } from '../support/install.ts';
import { eventually, kubectlFor, type Kubectl } from '../support/kubectl.ts';
import { ready } from '../support/namespace.ts';
import { quantile, type Figure } from './report.ts';

const API = 'kadre.dev/v1alpha1';
const AGENT = 'bench-coder';
const WARM = 5;
const WARM_CALLS = 40;
const COLD_CALLS = 5;
const program = JSON.stringify({ language: 'python', source: 'print(42)' });

export async function sandboxes({ client }: Connection, kubectl: Kubectl): Promise<Figure[]> {
  const { namespace } = kubectl;
  const tool = (name: string, code: object) => ({
    kind: 'Tool',
    metadata: { name, namespace },
    spec: { builtin: { code: { cpu: '250m', ...code } } },
  });
  const objects = [
    tool('warm', { memory: '64Mi', warm: WARM }),
    tool('cold', { memory: '96Mi', warm: 0 }),
    { kind: 'Model', metadata: { name: 'bench-none', namespace }, spec: { provider: 'simulated' } },
    {
      kind: 'Agent',
      metadata: { name: AGENT, namespace },
      spec: { instructions: 'x', model: 'bench-none', tools: [{ name: 'warm' }, { name: 'cold' }] },
    },
  ];
  for (const object of objects) await client.apply({ apiVersion: API, ...object });
  await ready(kubectl, 'agent', AGENT);
  const token = await kubectl.run(['create', 'token', `agent-${AGENT}`, '--audience=kadre-gateway']);
  const forward = await kubectlFor(kubectl.kubeconfig, SYSTEM_NAMESPACE).portForward('service/kadre-gateway', 80);
  try {
    const warm: number[] = [];
    for (let call = -1; call < WARM_CALLS; call++) {
      await allReady(kubectl);
      const taken = await callOnce(forward.url, token.trim(), 'warm');
      // The first one opens connections.
      if (call >= 0) warm.push(taken);
    }
    const cold: number[] = [];
    for (let call = 0; call < COLD_CALLS; call++) cold.push(await callOnce(forward.url, token.trim(), 'cold'));
    return [
      figure('code in a sandbox that stands ready', warm, 'to reach: 100 ms at the median'),
      figure('code when a pod has to be made first', cold, 'the image is on the node'),
    ];
  } finally {
    forward.stop();
  }
}

const figure = (what: string, values: number[], beside: string): Figure => ({
  what,
  figure: `P50 ${quantile(values, 0.5).toFixed(0)} ms, P99 ${quantile(values, 0.99).toFixed(0)} ms`,
  beside,
});

async function callOnce(url: string, token: string, name: string): Promise<number> {
  const began = performance.now();
  const response = await fetch(`${url}/v1/tools/call`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, arguments: program }),
  });
  const answer = await response.text();
  const taken = performance.now() - began;
  if (!answer.includes('42')) throw new Error(`the tool ${name} answered ${response.status}: ${answer}`);
  return taken;
}

/** So that each call finds what the first one found. */
const allReady = (kubectl: Kubectl): Promise<true> =>
  eventually('sandboxes that stand ready', async () => {
    const pods = await kubectl.list('pods', '-l', 'kadre.dev/sandbox-pool');
    const up = pods.filter(({ status }) =>
      (status?.conditions as { type: string; status: string }[] | undefined)?.some(
        (condition) => condition.type === 'Ready' && condition.status === 'True',
      ),
    );
    return up.length >= WARM || undefined;
  });
