// Every workflow pattern on real pods, all at once: what kubectl shows of each Run is what is expected of it anywhere.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readCases, type Case } from '../conformance/support/case.ts';
import { conformanceCluster } from '../support/conformance-cluster.ts';
import { check } from '../conformance/support/describe.ts';
import { play } from '../conformance/support/play.ts';
import type { Target } from '../conformance/support/target.ts';
import { kubeconfig } from '../support/namespace.ts';

const cases = readCases();
const played = new Map<Case, { target: Target; outcome: Promise<unknown> }>();
const cluster = conformanceCluster(kubeconfig(), cases);
beforeAll(async () => {
  await cluster.prepare();
  for (const one of cases) {
    const target = cluster.start(one);
    // Whose test fails is told when its turn comes.
    played.set(one, { target, outcome: play(one, target).catch((error: unknown) => error) });
  }
}, 600_000);
afterAll(() => cluster.close());

test.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
  const { target, outcome } = played.get(one) ?? {};
  if (!target) throw new Error('the cluster is not ready');
  expect(await outcome).toBeUndefined();
  for (const run of one.runs) await check(one, run, target);
});
