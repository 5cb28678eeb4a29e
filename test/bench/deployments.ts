// From `kubectl apply` of an Agent to its Deployment, seen from outside by a watch. Beside it: how long the API server
// takes to create an object and to tell a watch of it, which nobody can beat.
import type { Connection } from '@kadre/operator';
import { median, quantile, type Figure } from './report.ts';
import { watchObjects } from './watch.ts';

const AGENTS = 200;
const API = 'kadre.dev/v1alpha1';

export async function deployments({ client }: Connection, namespace: string): Promise<Figure[]> {
  await client.apply({
    apiVersion: API,
    kind: 'Model',
    metadata: { name: 'bench', namespace },
    spec: { provider: 'simulated' },
  });
  const toDeployment: number[] = [];
  const toWatch: number[] = [];
  const arrivals = await watchFirst(client, { apiVersion: 'apps/v1', kind: 'Deployment' }, namespace);
  const floor = await watchFirst(client, { apiVersion: 'v1', kind: 'ConfigMap' }, namespace);
  for (let i = 0; i < AGENTS; i++) {
    const name = `bench-${i}`;
    const started = performance.now();
    // No pods: what is measured is the operator, not the kubelet.
    await client.create({
      apiVersion: API,
      kind: 'Agent',
      metadata: { name, namespace },
      spec: { model: 'bench', instructions: 'Answer.', serving: { replicas: 0 } },
    });
    toDeployment.push((await arrivals.of(`agent-${name}`)) - started);
    const again = performance.now();
    await client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace } });
    toWatch.push((await floor.of(name)) - again);
  }
  arrivals.close();
  floor.close();
  const beside = (share: number) =>
    `${(quantile(toDeployment, share) / quantile(toWatch, share)).toFixed(1)} × a bare create → watch (${quantile(toWatch, share).toFixed(0)} ms)`;
  return [
    {
      what: `apply of an Agent → its Deployment, P50 of ${AGENTS}`,
      figure: `${median(toDeployment).toFixed(0)} ms`,
      beside: beside(0.5),
    },
    {
      what: `apply of an Agent → its Deployment, P99 of ${AGENTS}`,
      figure: `${quantile(toDeployment, 0.99).toFixed(0)} ms`,
      beside: `${beside(0.99)}; to reach: 150 ms`,
    },
  ];
}

/** Notes when each object is first seen. */
async function watchFirst(
  client: Connection['client'],
  kind: { apiVersion: string; kind: string },
  namespace: string,
): Promise<{ of: (name: string) => Promise<number>; close: () => void }> {
  const seen = new Map<string, number>();
  const waiting = new Map<string, (at: number) => void>();
  const watching = await watchObjects(client, kind, namespace, ({ metadata: { name } }) => {
    if (seen.has(name)) return;
    seen.set(name, performance.now());
    waiting.get(name)?.(performance.now());
  });
  return {
    close: () => watching.close(),
    of: (name) => {
      const at = seen.get(name);
      return at === undefined ? new Promise((resolve) => waiting.set(name, resolve)) : Promise.resolve(at);
    },
  };
}
