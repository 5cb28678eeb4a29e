// Steps that have a pod of their own: a chain, where each waits for the one before, and many Runs at once.
import type { Connection } from '@kadre/operator';
import type { Figure } from './report.ts';
import { finishedRuns } from './finished-runs.ts';

const CHAIN = 10;
const RUNS = 60;
const API = 'kadre.dev/v1alpha1';
// On the node already, so that no registry is measured.
const container = { image: 'kadre-agent-runtime:0.1.0', command: ['/usr/bin/node', '-e', ''] };

export async function jobs({ client }: Connection, namespace: string): Promise<Figure[]> {
  const workflow = (name: string, length: number) => {
    const steps = Array.from({ length }, (_, i) => ({ name: `step-${i}`, container }));
    return client.apply({ apiVersion: API, kind: 'Workflow', metadata: { name, namespace }, spec: { steps } });
  };
  await workflow('chain', CHAIN);
  await workflow('single', 1);
  const measure = async (name: string, count: number): Promise<number> => {
    const { outcome } = await finishedRuns(client, namespace, name, count);
    const started = performance.now();
    for (let i = 0; i < count; i++) {
      const metadata = { name: `${name}-${i}`, namespace };
      await client.create({ apiVersion: API, kind: 'Run', metadata, spec: { workflow: { name } } });
    }
    const { succeeded, at } = await outcome;
    if (succeeded < count) throw new Error(`${count - succeeded} of ${count} Runs of ${name} did not succeed`);
    return (at - started) / 1000;
  };
  const chain = await measure('chain', 1);
  const many = await measure('single', RUNS);
  return [
    {
      what: `a chain of ${CHAIN} Jobs`,
      figure: `${chain.toFixed(1)} s`,
      beside: 'to reach: 25 s; Argo Workflows measured elsewhere: 100 s',
    },
    {
      what: `${RUNS} Runs of one Job at once`,
      figure: `${many.toFixed(1)} s`,
      beside: 'to reach: 45 s; Argo Workflows measured elsewhere: 85 s',
    },
  ];
}
