// The tests on real pods: a cluster, the images, Kadre in it, the tests; and no cluster left that was not there before.
import { join } from 'node:path';
import { installKadre } from '../../test/support/install.ts';
import { run, runJest, type RunOptions } from './run.ts';
import { sum, type Counts } from './tally.ts';

const ITS_LIFE = 'test/cluster/node-cluster';

export async function endToEnd(
  root: string,
  within: (minutes: number, env?: Record<string, string>) => RunOptions,
): Promise<Counts> {
  const cluster = join(root, 'test', 'cluster', 'main.ts');
  const anyway = { ...within(3), signal: new AbortController().signal };
  // Whoever brings a cluster of their own keeps it, and so does who started one before.
  const keep = (await run(process.execPath, [cluster, 'status'], anyway)) === 0;
  const jest = (options: RunOptions, ...args: string[]) => runJest(root, 'e2e', ['--runInBand', ...args], options);
  // These start and stop a cluster of their own, so they come first, and not where one is in use.
  const ofItsLife = keep ? [] : [await jest(within(15), '--testPathPatterns', ITS_LIFE)];
  try {
    const kubeconfig = await installKadre((step) => console.log(`-- ${step}`));
    return sum([
      ...ofItsLife,
      await jest(within(20, { KUBECONFIG: kubeconfig }), '--testPathIgnorePatterns', '/node_modules/', ITS_LIFE),
    ]);
  } finally {
    // Not bound to the signal that ends the tests: an interrupted run cleans up as well.
    if (!keep) await run(process.execPath, [cluster, 'down'], anyway);
  }
}
