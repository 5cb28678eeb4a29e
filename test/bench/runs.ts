// Runs of one simulated agent step, applied as custom resources, through operator, engine, gateway and one agent pod.
import type { Connection } from '@kadre/operator';
import { kubectlFor, type Kubectl } from '../support/kubectl.ts';
import { SYSTEM_NAMESPACE } from '../support/install.ts';
import { finishedRuns } from './finished-runs.ts';
import type { Figure } from './report.ts';

const RUNS = Number(process.env['KADRE_BENCH_RUNS'] ?? 5000);
const CREATORS = 20;
const API = 'kadre.dev/v1alpha1';

export async function runs({ client }: Connection, kubectl: Kubectl): Promise<Figure[]> {
  const { namespace } = kubectl;
  await client.apply({
    apiVersion: API,
    kind: 'Model',
    metadata: { name: 'instant', namespace },
    spec: { provider: 'simulated' },
  });
  await client.apply({
    apiVersion: API,
    kind: 'Agent',
    metadata: { name: 'echo', namespace },
    spec: { model: 'instant', instructions: 'Answer.', serving: { replicas: 1 } },
  });
  await kubectl.run(['wait', 'agent/echo', '--for=condition=Ready', '--timeout=120s']);
  await measure(client, kubectl, 'warm', 50);
  const result = await measure(client, kubectl, 'bench', RUNS);
  return [
    {
      what: `${RUNS} Runs of one simulated step`,
      figure: `${(RUNS / result.seconds).toFixed(1)} a second`,
      beside: 'to reach: 50; Argo Workflows publishes 4.5 (13.5 tuned, 50 nodes), ARK 12',
    },
    {
      what: `of these lost, failed`,
      figure: `${RUNS - result.succeeded - result.failed}, ${result.failed}`,
      beside: 'to reach: 0, 0; ARK publishes 21–25 % lost',
    },
    {
      what: 'memory of the control plane: before, at the most, after',
      figure: `${result.memory.before}, ${result.memory.peak}, ${result.memory.after} MB`,
      beside: 'to reach: below 400 MB',
    },
  ];
}

async function measure(client: Connection['client'], kubectl: Kubectl, prefix: string, count: number) {
  const { namespace } = kubectl;
  const memory = await watchMemory(kubectl);
  const { outcome } = await finishedRuns(client, namespace, prefix, count);
  const started = performance.now();
  let next = 0;
  const create = async () => {
    for (let i = next++; i < count; i = next++) {
      await client.create({
        apiVersion: API,
        kind: 'Run',
        metadata: { name: `${prefix}-${i}`, namespace },
        spec: { agent: { name: 'echo', prompt: `Question ${i}` } },
      });
    }
  };
  await Promise.all(Array.from({ length: CREATORS }, create));
  const { succeeded, failed, at } = await outcome;
  return { seconds: (at - started) / 1000, succeeded, failed, memory: await memory.stop() };
}

/** Resident memory of the whole process, in MB, as its own metrics tell it. */
async function watchMemory(kubectl: Kubectl) {
  const forward = await kubectlFor(kubectl.kubeconfig, SYSTEM_NAMESPACE).portForward('deployment/kadre', 8080);
  const read = async () => {
    const text = await (await fetch(`${forward.url}/metrics`)).text();
    const value = /^process_resident_memory_bytes\{[^}]*\} (\S+)/m.exec(text)?.[1];
    return Math.round(Number(value) / 1e6);
  };
  const before = await read();
  let peak = before;
  const timer = setInterval(
    () =>
      void read().then(
        (now) => (peak = Math.max(peak, now)),
        () => undefined,
      ),
    2000,
  );
  return {
    stop: async () => {
      clearInterval(timer);
      const after = await read();
      forward.stop();
      return { before, peak: Math.max(peak, after), after };
    },
  };
}
