// The tests on real pods: a cluster, the images, Kadre in it, the tests; and no cluster left that was not there before.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installKadre } from '../../test/support/install.ts';
import { run, runJest, type RunOptions } from './run.ts';
import type { Counts } from './tally.ts';

export async function endToEnd(
  root: string,
  within: (minutes: number, env?: Record<string, string>) => RunOptions,
): Promise<Counts> {
  const cluster = join(root, 'test', 'cluster', 'main.ts');
  // Whoever brings a cluster of their own keeps it, and so does who started one before.
  const keep = process.env['KUBECONFIG'] !== undefined || existsSync(join(root, '.cluster'));
  try {
    const kubeconfig = await installKadre((step) => console.log(`-- ${step}`));
    return await runJest(root, 'e2e', ['--runInBand'], within(20, { KUBECONFIG: kubeconfig }));
  } finally {
    // Not bound to the signal that ends the tests: an interrupted run cleans up as well.
    if (!keep) await run(process.execPath, [cluster, 'down'], { ...within(3), signal: new AbortController().signal });
  }
}
