import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';

const moduleDirectory = path.join(import.meta.dirname, 'go');
const cache = path.join(import.meta.dirname, '..', '..', '.cache', 'helm');

/**
 * Builds Helm from the Go module beside this file, once for each version: about three minutes on two cores.
 *
 * @param report takes lines of progress
 * @returns the path of the program
 * @throws with the last lines that Go printed if it cannot be built
 */
export async function ensureHelm(report: (line: string) => void = () => undefined): Promise<string> {
  const program = path.join(cache, versionHash());
  if (existsSync(program)) return program;
  report('building Helm from its Go module; the first time takes about three minutes on two cores');
  await mkdir(cache, { recursive: true });
  // Built aside and renamed, so that a program that exists is complete.
  const draft = `${program}.${process.pid}`;
  try {
    await goBuild(draft);
    await rename(draft, program);
  } finally {
    await rm(draft, { force: true });
  }
  return program;
}

function versionHash(): string {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(path.join(moduleDirectory, file)));
  return hash.digest('hex').slice(0, 16);
}

function goBuild(output: string): Promise<void> {
  const args = ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', output, 'helm.sh/helm/v4/cmd/helm'];
  const env = { ...process.env, CGO_ENABLED: '0' };
  const child = spawn('go', args, { cwd: moduleDirectory, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`Go 1.26 or newer is needed to build Helm: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`building Helm failed:\n${complaint}`));
    });
  });
}
