// The layers of checks, from the quickest to those that need a cluster.
import { join } from 'node:path';
import { leastReached, percentage, reached, readCoverage } from './coverage.ts';
import { runCheck, runJest, type RunOptions } from './run.ts';
import { FAILED, PASSED, type Counts } from './tally.ts';

export const layerNames = ['static', 'unit', 'integration', 'conformance', 'e2e'] as const;
export type LayerName = (typeof layerNames)[number];

export interface Check {
  layer: LayerName;
  title: string;
  run: () => Promise<Counts>;
}

/** Lines of the sources that tests must reach, in percent. */
const COVERAGE = 85;
const MINUTE = 60_000;
const PARTS = [
  'crds',
  'store',
  'knowledge',
  'a2a',
  'telemetry',
  'tools',
  'sandbox',
  'engine',
  'gateway',
  'server',
  'agent-runtime',
  'operator',
  'cli',
  'test',
  'scripts',
];

/**
 * @param builds resolves when the programs that the later layers need are built
 * @param layers those that are wanted: coverage is measured for the layer that judges it, and costs time
 */
export function checks(
  root: string,
  signal: AbortSignal,
  builds: () => Promise<void>,
  layers: readonly LayerName[],
): Check[] {
  const within = (minutes: number, env?: Record<string, string>): RunOptions => ({
    signal,
    timeoutMs: minutes * MINUTE,
    ...(env && { env }),
  });
  const bin = (name: string) => join(root, 'node_modules', '.bin', name);
  const tool = (title: string, name: string, ...args: string[]): Check => ({
    layer: 'static',
    title,
    run: () => runCheck(bin(name), args, within(10)),
  });
  const script = (title: string, file: string): Check => ({
    layer: 'static',
    title,
    run: () => runCheck(process.execPath, [file, '--check'], within(2)),
  });
  return [
    tool('Types', 'tsc', '--noEmit'),
    tool('ESLint', 'eslint', '.'),
    tool(
      'Formatting',
      'prettier',
      '--check',
      '--log-level',
      'warn',
      '--cache',
      '--cache-location',
      '.cache/prettier',
      '.',
    ),
    tool('Direction of imports', 'depcruise', '--config', '.dependency-cruiser.mjs', ...PARTS),
    tool('Unused code', 'knip'),
    script('Generated files', 'scripts/generate.ts'),
    script('Generated templates of the chart', 'scripts/generate-chart.ts'),
    {
      layer: 'unit',
      title: 'Unit tests',
      run: () => runJest(root, 'unit', layers.includes('integration') ? covering('unit') : [], within(10)),
    },
    {
      layer: 'integration',
      title: 'Integration tests: a real control plane',
      run: async () => {
        await builds();
        return runJest(root, 'integration', covering('integration'), within(30));
      },
    },
    { layer: 'integration', title: 'Line coverage of unit and integration tests', run: () => coverage(root) },
    {
      layer: 'conformance',
      title: 'Conformance: workflow patterns',
      run: () => runJest(root, 'conformance', [], within(10)),
    },
    {
      layer: 'e2e',
      title: 'End-to-end tests: real pods',
      run: async () => {
        await builds();
        // Loaded when its turn comes: the quick layers need nothing of a cluster.
        const { endToEnd } = await import('./end-to-end.ts');
        return endToEnd(root, within);
      },
    },
  ];
}

function covering(project: string): string[] {
  return ['--coverage', '--coverageReporters=json', `--coverageDirectory=coverage/${project}`];
}

async function coverage(root: string): Promise<Counts> {
  const reports = await Promise.all([readCoverage(root, 'unit'), readCoverage(root, 'integration')]);
  const found = reports.filter((report) => report !== undefined);
  const files = reached(found);
  const percent = percentage([...files.values()]);
  console.log(`${percent} % of the lines are reached; ${COVERAGE} % are asked for. Most is missing in:`);
  console.log(leastReached(root, files, 10).join('\n'));
  if (found.length < reports.length) console.log('The unit tests have not run: make test ONLY=unit,integration');
  return percent >= COVERAGE ? PASSED : FAILED;
}
