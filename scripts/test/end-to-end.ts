// The tests on real pods: a cluster, the images, Kadre in it, the tests; and no cluster left that was not there before.
import { join } from 'node:path';
import { installKadre } from '../../test/support/install.ts';
import { run, runJest, type RunOptions } from './run.ts';
import { sum, type Counts } from './tally.ts';

export async function endToEnd(
  root: string,
  within: (minutes: number, env?: Record<string, string>) => RunOptions,
): Promise<Counts> {
  const cluster = join(root, 'test', 'cluster', 'main.ts');
  const anyway = { ...within(3), signal: new AbortController().signal };
  // Whoever brings a cluster of their own keeps it, and so does who started one before.
  const keep = (await run(process.execPath, [cluster, 'status'], anyway)) === 0;
  const tests = (folder: string, options: RunOptions) =>
    runJest(root, 'e2e', ['--runInBand', '--testPathPatterns', `test/${folder}/`], options);
  // These start and stop a cluster of their own, so they come first, and not where one is in use.
  const ofCluster = keep ? [] : [await tests('cluster', within(15))];
  try {
    const kubeconfig = await installKadre((step) => console.log(`-- ${step}`));
    return sum([...ofCluster, await tests('e2e', within(20, { KUBECONFIG: kubeconfig }))]);
  } finally {
    // Not bound to the signal that ends the tests: an interrupted run cleans up as well.
    if (!keep) await run(process.execPath, [cluster, 'down'], anyway);
  }
}
