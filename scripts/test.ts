// `make test`: all checks and tests, from the quickest to those on real pods. A failure does not keep the others from
// running: one run tells all that is wrong. The last line counts.
//
//   node scripts/test.ts [--only static,unit,integration,conformance,e2e]
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import type { Builds } from './test/builds.ts';
import { checks, layerNames, type Check, type LayerName } from './test/layers.ts';
import { FAILED, sum, verdict, type Counts } from './test/tally.ts';

const ROOT = dirname(import.meta.dirname);

function chosenLayers(): LayerName[] {
  const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
  if (only === undefined) return [...layerNames];
  const wanted = only.split(',');
  const unknown = wanted.find((name) => !layerNames.includes(name as LayerName));
  if (unknown !== undefined) {
    console.error(`There is no layer "${unknown}". There are: ${layerNames.join(', ')}.`);
    process.exit(2);
  }
  return layerNames.filter((name) => wanted.includes(name));
}

async function perform(check: Check): Promise<Counts> {
  console.log(`\n=== ${check.layer}: ${check.title}`);
  const started = Date.now();
  let counts = FAILED;
  try {
    counts = await check.run();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
  console.log(`--- ${check.title}: ${verdict(counts)}, ${Math.round((Date.now() - started) / 1000)} s`);
  return counts;
}

async function startBuilds(): Promise<Builds> {
  const builds = await import('./test/builds.ts');
  return builds.startBuilds();
}

async function main(): Promise<void> {
  const layers = chosenLayers();
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

  const needsGo = layers.includes('integration') || layers.includes('e2e');
  const builds = needsGo ? await startBuilds() : undefined;
  const results: { check: Check; counts: Counts }[] = [];
  for (const check of checks(ROOT, interrupted.signal, async () => builds?.wait(), layers)) {
    if (!layers.includes(check.layer)) continue;
    if (interrupted.signal.aborted) results.push({ check, counts: FAILED });
    else results.push({ check, counts: await perform(check) });
  }

  console.log('\n=== Summary');
  for (const { check, counts } of results) {
    console.log(
      `${counts.failed === 0 ? 'ok  ' : 'FAIL'}  ${check.layer.padEnd(12)} ${check.title}: ${verdict(counts)}`,
    );
  }
  const total = sum(results.map(({ counts }) => counts));
  console.log(verdict(total));
  process.exit(total.failed === 0 ? 0 : 1);
}

await main();
