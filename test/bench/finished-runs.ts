import type { Connection } from '@kadre/operator';
import { watchObjects } from './watch.ts';

const PATIENCE_MS = 60_000;

interface FinishedRuns {
  succeeded: number;
  failed: number;
  /** When the last of them was over, as `performance.now()`. */
  at: number;
}

/**
 * Watches from now on. `outcome` resolves when so many Runs of that prefix are over, or when none was for a minute: what
 * is then missing is lost.
 */
export async function finishedRuns(
  client: Connection['client'],
  namespace: string,
  prefix: string,
  count: number,
): Promise<{ outcome: Promise<FinishedRuns> }> {
  const phases = new Map<string, string>();
  let at = performance.now();
  const kind = { apiVersion: 'kadre.dev/v1alpha1', kind: 'Run' };
  const watching = await watchObjects(client, kind, namespace, ({ metadata, status }) => {
    const { phase = '' } = (status ?? {}) as { phase?: string };
    if (!metadata.name.startsWith(prefix) || !['Succeeded', 'Failed', 'Cancelled'].includes(phase)) return;
    phases.set(metadata.name, phase);
    at = performance.now();
    if (phases.size === count) watching.close();
  });
  const patience = setInterval(() => {
    if (performance.now() - at > PATIENCE_MS) watching.close();
  }, 1000);
  const outcome = watching.ended.then(() => {
    clearInterval(patience);
    const succeeded = [...phases.values()].filter((phase) => phase === 'Succeeded').length;
    return { succeeded, failed: phases.size - succeeded, at };
  });
  return { outcome };
}
