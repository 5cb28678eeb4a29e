import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { capture } from './command.ts';
import { takeMachineSnapshot } from './machine-snapshot.ts';
import { ownProcesses } from './node/daemons.ts';
import { nodeSettings } from './node/settings.ts';
import { nodeClusterIsKnown } from './node-cluster.ts';

// Building the programs takes minutes on a machine that has not done so before.
const upMs = 20 * 60_000;

const main = path.join(import.meta.dirname, 'main.ts');
const env = { ...process.env, KADRE_CLUSTER: 'node' };
const cluster = (...args: readonly string[]): Promise<string> => capture(process.execPath, [main, ...args], env);
const lastLine = (output: string): string => output.trimEnd().split('\n').at(-1) ?? '';
const pidsOf = (name?: string): number[] =>
  ownProcesses(nodeSettings())
    .filter((found) => name === undefined || found.name === name)
    .map(({ pid }) => pid);
// What a daemon runs for a moment, such as iptables, comes and goes: it is the child of another process of ours.
const daemonPids = (): number[] => {
  const all = new Set(pidsOf());
  return [...all].filter((pid) => !all.has(parentOf(pid)));
};
const parentOf = (pid: number): number => {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return pid; // It has ended meanwhile, so it is none.
  }
};

// These tests take the cluster down, so they run only where none is up that others may be using.
const describeWhereNoneIsUp = nodeClusterIsKnown() ? describe.skip : describe;

describeWhereNoneIsUp('the life of a node cluster', () => {
  beforeAll(async () => {
    // What is installed and built once is no trace.
    await cluster('up');
    await cluster('down');
  }, upMs);
  afterAll(() => cluster('down'), 60_000);

  test(
    'up ends with the export of its kubeconfig, and a second up finds nothing to do',
    async () => {
      const first = await cluster('up');
      expect(lastLine(first)).toBe(`export KUBECONFIG=${nodeSettings().kubeconfig}`);
      const pids = daemonPids();
      expect(pids.length).toBeGreaterThan(5);
      const second = await cluster('up');
      expect(second).toContain('already up');
      expect(lastLine(second)).toBe(lastLine(first));
      expect(daemonPids()).toEqual(pids);
    },
    upMs,
  );

  test(
    'up brings a daemon back that has died, and leaves the others alone',
    async () => {
      await cluster('up');
      const [apiServer] = pidsOf('kube-apiserver');
      const [scheduler] = pidsOf('kube-scheduler');
      process.kill(Number(scheduler), 'SIGKILL');
      await expect(cluster('up')).resolves.toContain('started kube-scheduler\n');
      expect(pidsOf('kube-apiserver')).toEqual([apiServer]);
    },
    upMs,
  );

  test(
    'up changes the number of GPUs of a cluster that runs',
    async () => {
      const gpus = (): Promise<string> =>
        cluster('kubectl', 'get', 'nodes', '-o', 'jsonpath={..allocatable.nvidia\\.com/gpu}');
      await cluster('up', '--gpus', '3');
      await expect(gpus()).resolves.toBe('3');
      await cluster('up', '--gpus', '0');
      await expect(gpus()).resolves.toBe('0');
    },
    upMs,
  );

  test.each(['started containerd', 'started kube-controller-manager'])(
    'an up that was killed when it had said "%s" can be repeated',
    async (progress) => {
      await cluster('down');
      await killWhenItSays(progress, 'up');
      await expect(cluster('up')).resolves.toMatch(/cluster is (already )?up/);
      await expect(cluster('status')).resolves.toContain(' Ready ');
    },
    upMs,
  );

  test(
    'a down that was killed can be repeated',
    async () => {
      await cluster('up');
      await killWhenItSays('stopped all processes', 'down');
      await cluster('down');
      await expect(cluster('down')).resolves.toContain('there is no cluster');
      expect(pidsOf()).toEqual([]);
    },
    upMs,
  );

  test(
    'up with other addresses gives them to everything, and later commands know them',
    async () => {
      await cluster('down');
      await capture(process.execPath, [main, 'up'], { ...env, KADRE_CLUSTER_NETWORK: '10.214' });
      await expect(cluster('kubectl', 'get', 'nodes', '-o', 'wide')).resolves.toContain(' 10.214.0.1 ');
      await expect(cluster('up')).resolves.toContain('already up');
      await cluster('down');
      await expect(capture('ip', ['address'])).resolves.not.toContain('10.214.');
    },
    upMs,
  );

  test(
    'down leaves the machine as it was before up, though pods were running',
    async () => {
      await cluster('down');
      const before = await takeMachineSnapshot();
      await cluster('up');
      await startPods(3);
      await cluster('down');
      const after = await takeMachineSnapshot();
      expect(after).toEqual(before);
    },
    upMs,
  );
});

/** Pods of the pause image, the one image that every node cluster has. */
async function startPods(replicas: number): Promise<void> {
  const image = '--image=localhost/kadre/pause:1';
  await cluster('kubectl', 'create', 'deployment', 'sleepers', image, `--replicas=${replicas}`);
  await cluster('kubectl', 'rollout', 'status', 'deployment/sleepers', '--timeout=2m');
}

/** Runs a command and kills it with SIGKILL as soon as it prints a line that starts like this. */
async function killWhenItSays(progress: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  createInterface(child.stdout).on('line', (line) => line.startsWith(progress) && child.kill('SIGKILL'));
  await ended;
}
