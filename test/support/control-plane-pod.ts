// The control plane's pod, and how to kill what runs in it without giving it a chance to say goodbye.
import { readdirSync, readFileSync } from 'node:fs';
import { SYSTEM_NAMESPACE } from './install.ts';
import { capture, eventually, kubectlFor } from './kubectl.ts';

/** SIGKILL to the process of `kadre all`. Resolves when the kubelet has seen it die and a new one is ready. */
export async function killControlPlane(kubeconfig: string): Promise<void> {
  const kubectl = kubectlFor(kubeconfig, SYSTEM_NAMESPACE);
  const state = async () => {
    const pods = await kubectl.list('pods', '-l', 'app.kubernetes.io/component=control-plane');
    return pods[0]?.['status'].containerStatuses[0] as { restartCount: number; ready: boolean };
  };
  const before = await state();
  await kill();
  await eventually('the control plane restarted', async () => {
    const now = await state();
    return now.restartCount > before.restartCount && now.ready;
  });
}

/** On a cluster of this machine the process is one of ours; on kind it is one of the node container's. */
async function kill(): Promise<void> {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && isControlPlane(entry));
  for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
  if (pids.length > 0) return;
  const nodes = (
    await capture('docker', ['ps', '--format', '{{.Names}}', '--filter', 'label=io.x-k8s.kind.cluster'])
  ).trim();
  for (const node of nodes.split('\n')) await capture('docker', ['exec', node, 'pkill', '-KILL', '-f', 'main.js all']);
}

function isControlPlane(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith('/main.js\0all\0');
  } catch {
    return false; // It ended while we looked.
  }
}
