// From the start of the process to the first answer that it is ready, beside a bare Node server: the floor.
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runtimeEnv } from '@kadre/crds';
import { bundle, programs } from '../../scripts/bundle.ts';
import { freePort } from '../support/free-port.ts';
import { median, type Figure } from './report.ts';

const ROUNDS = 15;

export async function coldStart(): Promise<Figure[]> {
  const outdir = join(tmpdir(), `kadre-bench-${process.pid}`);
  await bundle(programs['agent-runtime'], outdir);
  const tokenFile = join(outdir, 'token');
  await writeFile(tokenFile, 'token');
  const floorFile = join(outdir, 'floor.mjs');
  await writeFile(
    floorFile,
    `import { createServer } from 'node:http'; createServer((q, r) => r.end('ok')).listen(Number(process.env.PORT));`,
  );

  const runtime: number[] = [];
  const floor: number[] = [];
  // In turn, so that a slower moment of the machine meets both.
  for (let round = 0; round <= ROUNDS; round++) {
    const [a, b] = [await timeToReady(join(outdir, 'main.js'), tokenFile), await timeToReady(floorFile, tokenFile)];
    if (round === 0) continue; // The first reads the files from disk.
    runtime.push(a);
    floor.push(b);
  }
  const ratio = median(runtime) / median(floor);
  return [
    {
      what: `agent-runtime, process start → ready (median of ${ROUNDS})`,
      figure: `${median(runtime).toFixed(0)} ms`,
      beside: `${ratio.toFixed(1)} × a bare node:http server (${median(floor).toFixed(0)} ms); to reach: 250 ms`,
    },
  ];
}

async function timeToReady(file: string, tokenFile: string): Promise<number> {
  const port = await freePort();
  const gateway = await fakeGateway();
  const env = {
    PATH: process.env['PATH'],
    NODE_ENV: 'production',
    // The bare server's, and the runtime's.
    PORT: String(port),
    KADRE_PORT: String(port),
    [runtimeEnv.agent]: JSON.stringify({ name: 'bench', namespace: 'default', instructions: 'Answer.', model: 'm' }),
    [runtimeEnv.gatewayUrl]: gateway.url,
    [runtimeEnv.tokenFile]: tokenFile,
  };
  const start = performance.now();
  const child = spawn(process.execPath, [file], { env, stdio: 'ignore' });
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${file} ended with code ${child.exitCode}`);
      const ok = await fetch(`http://127.0.0.1:${port}/readyz`).then(
        (response) => response.ok,
        () => false,
      );
      if (ok) return performance.now() - start;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  } finally {
    child.kill('SIGKILL');
    gateway.close();
  }
}

/** Readiness may look whether the gateway answers; here it does, at once. */
async function fakeGateway(): Promise<{ url: string; close: () => void }> {
  const server = createServer((_request, response) => response.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
