// From the start of `kadre run` to its first step, beside a Node that does nothing.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, programs, ROOT } from '../../scripts/bundle.ts';
import { median, type Figure } from './report.ts';

const ROUNDS = 11;

const manifests = `apiVersion: kadre.dev/v1alpha1
kind: Model
metadata: {name: m}
spec: {provider: simulated}
---
apiVersion: kadre.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {instructions: Write., model: m}
---
apiVersion: kadre.dev/v1alpha1
kind: Workflow
metadata: {name: w}
spec: {steps: [{name: one, agent: {name: writer, prompt: Hello}}]}
`;

interface Times {
  firstStep: number;
  end: number;
}

export async function laptop(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-bench-laptop-'));
  try {
    await bundle(programs.kadre, join(folder, 'kadre'));
    const file = join(folder, 'manifests.yaml');
    await writeFile(file, manifests);
    const run = (program: string) => timed([program, 'run', '-f', file, 'workflow/w'], folder);
    const [checkout, bundled, floor]: [Times[], Times[], number[]] = [[], [], []];
    // In turn, so that a slower moment of the machine meets all of them.
    for (let round = 0; round <= ROUNDS; round++) {
      const times = [
        await run(join(ROOT, 'cli/src/main.ts')),
        await run(join(folder, 'kadre/main.js')),
        await timed(['-e', ''], folder),
      ] as const;
      if (round === 0) continue; // The first reads the files from disk and fills the compile cache.
      checkout.push(times[0]);
      bundled.push(times[1]);
      floor.push(times[2].end);
    }
    return [figure('from the checkout', checkout, median(floor)), figure('bundled', bundled, median(floor))];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function figure(how: string, times: Times[], floor: number): Figure {
  const [first, end] = [median(times.map(({ firstStep }) => firstStep)), median(times.map((one) => one.end))];
  return {
    what: `kadre run ${how}, process start → first step started (median of ${ROUNDS})`,
    figure: `${first.toFixed(0)} ms`,
    beside: `${(first / floor).toFixed(1)} × node -e '' (${floor.toFixed(0)} ms); its one simulated step done and the process gone: ${end.toFixed(0)} ms; to reach: 500 ms`,
  };
}

function timed(args: string[], home: string): Promise<Times> {
  const began = performance.now();
  const times: Times = { firstStep: Number.NaN, end: Number.NaN };
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], HOME: home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (Number.isNaN(times.firstStep) && said.includes('one started')) times.firstStep = performance.now() - began;
  });
  return new Promise((resolve, reject) => {
    child.once('close', (code) => {
      times.end = performance.now() - began;
      if (code === 0) resolve(times);
      else reject(new Error(`node ${args.join(' ')} ended with code ${String(code)}:\n${said}`));
    });
  });
}
