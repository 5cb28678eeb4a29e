import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { capture } from './command.ts';
import { withLock } from './lock.ts';
import { cacheDirectory } from './places.ts';
import { type Report, elapsed } from './report.ts';

const moduleDirectory = path.join(import.meta.dirname, 'go');
const oldestGo = { major: 1, minor: 26 };
const heartbeatMs = 10_000;

/** Absolute paths of the programs that the Go module builds. */
export interface Binaries {
  /** All Kubernetes programs, etcd, kubectl and our own helpers; the first argument says which. */
  readonly kadreCluster: string;
  readonly coredns: string;
  /** Runs a program for as long as its standard input stays open. */
  readonly tether: string;
  /** Static; the only content of the pause image. */
  readonly pause: string;
}

/**
 * Builds the programs, unless a build of exactly these sources is there already: about ten minutes on two cores the first
 * time, milliseconds afterwards. Several processes may ask at once.
 *
 * Throws an Error that says what to do when Go is missing or too old, or when the build fails.
 */
export async function ensureBinaries(report: Report = () => undefined): Promise<Binaries> {
  const directory = path.join(cacheDirectory, 'cluster', sourceHash());
  if (!existsSync(directory)) {
    await withLock(directory, report, async () => {
      if (!existsSync(directory)) await build(directory, report);
    });
  }
  const binary = (name: string) => path.join(directory, name);
  return {
    kadreCluster: binary('kadre-cluster'),
    coredns: binary('coredns'),
    tether: binary('tether'),
    pause: binary('pause'),
  };
}

function sourceHash(): string {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of globSync(['go.mod', 'go.sum', '**/*.go'], { cwd: moduleDirectory }).sort()) {
    hash.update(file).update(readFileSync(path.join(moduleDirectory, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function build(directory: string, report: Report): Promise<void> {
  await requireGo();
  report('building Kubernetes from Go modules; the first time takes about ten minutes on two cores');
  const packages = await go(['list', '-deps', './...'], (line, time) => report(`${time} ${line.replace(/^go: /, '')}`));
  const total = packages.split('\n').length;

  // Built aside and renamed, so that a directory that exists is complete.
  const draft = `${directory}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  let compiled = 0;
  try {
    await go(
      ['build', '-v', '-trimpath', '-buildvcs=false', '-ldflags', linkerFlags(), '-o', `${draft}/`, './...'],
      (line, time) => report(`${time} compiled ${compiled} of at most ${total} packages, now ${line}`),
      () => (compiled += 1),
    );
    renameSync(draft, directory);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function requireGo(): Promise<void> {
  const wanted = `Go ${oldestGo.major}.${oldestGo.minor} or newer is needed to build the cluster (https://go.dev/dl)`;
  const version = await capture('go', ['env', 'GOVERSION']).catch(() => {
    throw new Error(`${wanted}; no working "go" is on PATH`);
  });
  const [, major = '0', minor = '0'] = /go(\d+)\.(\d+)/.exec(version) ?? [];
  const newEnough = Number(major) > oldestGo.major || Number(minor) >= oldestGo.minor;
  if (!newEnough) throw new Error(`${wanted}; "go" on PATH is ${version.trim()}`);
}

// A Kubernetes program tells clients the version that is linked in; without it they would see v0.0.0.
function linkerFlags(): string {
  const version = /k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(
    readFileSync(path.join(moduleDirectory, 'go.mod'), 'utf8'),
  );
  const [, gitVersion = '', major = '', minor = ''] = version ?? [];
  const variables = { gitVersion, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const settings = Object.entries(variables).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return ['-s', '-w', ...settings].join(' ');
}

/** Runs go in the module and returns its standard output. `beat` gets the latest line of progress every few seconds. */
async function go(
  args: readonly string[],
  beat: (latestLine: string, time: string) => void,
  eachLine: () => void = () => undefined,
): Promise<string> {
  // Static binaries: one of them runs in a container that has no C library.
  const env = { ...process.env, CGO_ENABLED: '0' };
  const child = spawn('go', args, { cwd: moduleDirectory, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const started = Date.now();
  const lines: string[] = [];
  createInterface(child.stderr).on('line', (line) => {
    lines.push(line);
    eachLine();
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const heartbeat = setInterval(() => beat(lines.at(-1) ?? 'starting', elapsed(started)), heartbeatMs);
  try {
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (code !== 0) throw new Error(`go ${args[0] ?? ''} failed:\n${lines.slice(-20).join('\n')}`);
    return output;
  } finally {
    clearInterval(heartbeat);
  }
}
