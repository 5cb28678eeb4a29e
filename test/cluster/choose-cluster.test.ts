import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { capture } from './command.ts';

const main = path.join(import.meta.dirname, 'main.ts');

// These programs only write down how they are called; the clusters themselves are none of this test's business.
describe('the cluster that KADRE_CLUSTER asks for', () => {
  let directory: string;
  let calls: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'kadre-programs-'));
    calls = path.join(directory, 'calls');
    for (const program of ['kind', 'docker', 'kubectl']) {
      const file = path.join(directory, program);
      writeFileSync(file, `#!/bin/sh\necho ${program} "$@" >> ${calls}\n`);
      chmodSync(file, 0o755);
    }
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const cluster = (wish: string, ...args: readonly string[]): Promise<string> => {
    const PATH = `${directory}:${process.env['PATH'] ?? ''}`;
    return capture(process.execPath, [main, ...args], { PATH, KADRE_CLUSTER: wish, KUBECONFIG: '/some/kubeconfig' });
  };
  const called = (): string[] => (existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []);

  test('is made by kind, with GPUs on its node', async () => {
    const output = await cluster('kind', 'up', '--gpus', '4');
    expect(output).toMatch(/^export KUBECONFIG=.*kind\.kubeconfig\n$/);
    expect(called()).toContainEqual(expect.stringMatching(/^kind create cluster --name kadre --kubeconfig /));
    expect(called()).toContainEqual(expect.stringContaining('"capacity":{"nvidia.com/gpu":"4"}'));
    expect(called()).toContainEqual(expect.stringContaining('nvidia.com/gpu.product=Pretend-GPU'));
  });

  test('gets its images and its end from kind', async () => {
    const archive = path.join(directory, 'image.tar');
    writeFileSync(archive, '');
    await cluster('kind', 'load-image', archive);
    await cluster('kind', 'down');
    expect(called()).toContain(`kind load image-archive ${archive} --name kadre`);
    expect(called()).toContainEqual(expect.stringMatching(/^kind delete cluster --name kadre /));
  });

  test('is an existing one, which is neither changed nor taken down', async () => {
    const output = await cluster('existing', 'up');
    expect(output).toMatch(/export KUBECONFIG=\/some\/kubeconfig\n$/);
    await expect(cluster('existing', 'down')).resolves.toContain('left as it is');
    await expect(cluster('existing', 'load-image', main)).rejects.toThrow('push them to a registry');
    expect(called().filter((call) => !/version --client|current-context|get --raw/.test(call))).toEqual([]);
  });

  test('must be one of those that there are', async () => {
    await expect(cluster('minikube', 'up')).rejects.toThrow('must be existing, kind or node, not "minikube"');
  });

  test('is not touched when the command is misspelt', async () => {
    await expect(cluster('kind', 'upp')).rejects.toThrow('usage:');
    await expect(cluster('kind', 'up', '--gpus', 'many')).rejects.toThrow('--gpus must be a number');
    expect(called()).toEqual([]);
  });
});
