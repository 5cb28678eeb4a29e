// Puts Kadre on a cluster the way the README says: cluster, images, manifests. Demo, end-to-end tests and benchmarks
// all start here.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, kubectlFor } from './kubectl.ts';

const root = join(import.meta.dirname, '..', '..');
export const SYSTEM_NAMESPACE = 'kadre-system';

/**
 * Safe to call again: what is there already is kept, what is older is replaced.
 *
 * @param heading is called before each stage with its name
 * @returns the path of the kubeconfig
 */
export async function installKadre(heading: (stage: string) => void = console.log): Promise<string> {
  heading('A cluster');
  const up = await show(['test/cluster/main.ts', 'up']);
  const kubeconfig = /^export KUBECONFIG=(.+)$/m.exec(up)?.[1]?.trim();
  if (!kubeconfig) throw new Error('`make cluster` did not say where its kubeconfig is.');

  heading('The images');
  await show(['scripts/image.ts']);
  const index = JSON.parse(await readFile(join(root, '.cache', 'images', 'index.json'), 'utf8')) as {
    images: { archive: string; digest: string }[];
  };
  for (const image of index.images) await show(['test/cluster/main.ts', 'load-image', join(root, image.archive)]);

  heading('Kadre itself');
  const kubectl = kubectlFor(kubeconfig, SYSTEM_NAMESPACE);
  console.log(
    (await kubectl.run(['apply', '--server-side', '--force-conflicts', '-k', join(root, 'config', 'default')])).trim(),
  );
  await useImages(kubectl, index.images.map((image) => image.digest).join(' '));
  await eventually('Kadre ready', async () => {
    const deployment = await kubectl.get('deployment', 'kadre');
    const { observedGeneration, readyReplicas, updatedReplicas, replicas } = deployment?.['status'] ?? {};
    return (
      observedGeneration === deployment?.metadata.generation &&
      readyReplicas === 1 &&
      updatedReplicas === 1 &&
      replicas === 1
    );
  });
  console.log(await kubectl.run(['get', 'pods']));
  return kubeconfig;
}

/** The tag stays when the images change, so the pod is told by an annotation that it runs new ones. */
async function useImages(kubectl: ReturnType<typeof kubectlFor>, digests: string): Promise<void> {
  const patch = { spec: { template: { metadata: { annotations: { 'kadre.dev/images': digests } } } } };
  await kubectl.run(['patch', 'deployment', 'kadre', '--type', 'merge', '-p', JSON.stringify(patch)]);
}

/** Runs one of the project's scripts, shows what it prints, and returns that. */
function show(args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      process.stdout.write(chunk);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`node ${args.join(' ')} ended with code ${String(code)}`));
    });
  });
}
