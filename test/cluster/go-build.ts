import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { capture } from './command.ts';
import { withLock } from './lock.ts';
import { cacheDirectory } from './places.ts';
import { type Report, elapsed } from './report.ts';

const oldestGo = { major: 1, minor: 26 };
const heartbeatMs = 10_000;

/** A Go module of ours and what to build in it. */
export interface GoModule {
  readonly directory: string;
  /** Go package patterns. */
  readonly packages: readonly string[];
  readonly linkerFlags?: readonly string[];
  /** Said before a build, since it may take long. */
  readonly announcement: string;
}

/**
 * Builds the module's programs, unless a build of exactly these sources is there already. Several processes may ask at once.
 * Returns the directory that holds the programs.
 *
 * Throws an Error that says what to do when Go is missing or too old, or when the build fails.
 */
export async function ensureBuilt(module: GoModule, report: Report): Promise<string> {
  const directory = path.join(cacheDirectory, 'cluster', `${path.basename(module.directory)}-${sourceHash(module)}`);
  if (!existsSync(directory)) {
    await withLock(directory, report, async () => {
      if (!existsSync(directory)) await build(module, directory, report);
    });
  }
  return directory;
}

function sourceHash(module: GoModule): string {
  const settings = [process.platform, process.arch, module.packages, module.linkerFlags];
  const hash = createHash('sha256').update(JSON.stringify(settings));
  for (const file of globSync(['go.mod', 'go.sum', '**/*.go'], { cwd: module.directory }).sort()) {
    hash.update(file).update(readFileSync(path.join(module.directory, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function build(module: GoModule, directory: string, report: Report): Promise<void> {
  await requireGo();
  report(module.announcement);
  const listed = await go(module, ['list', '-deps', ...module.packages], (line, time) =>
    report(`${time} ${line.replace(/^go: /, '')}`),
  );
  const total = listed.split('\n').length;

  // Built aside and renamed, so that a directory that exists is complete.
  const draft = `${directory}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  const flags = ['-v', '-trimpath', '-buildvcs=false', '-ldflags', (module.linkerFlags ?? []).join(' ')];
  try {
    await go(module, ['build', ...flags, '-o', `${draft}/`, ...module.packages], (line, time, count) =>
      report(`${time} compiled ${count} of at most ${total} packages, now ${line}`),
    );
    renameSync(draft, directory);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

async function requireGo(): Promise<void> {
  const wanted = `Go ${oldestGo.major}.${oldestGo.minor} or newer is needed (https://go.dev/dl)`;
  const version = await capture('go', ['env', 'GOVERSION']).catch(() => {
    throw new Error(`${wanted}; no working "go" is on PATH`);
  });
  const [, major = '0', minor = '0'] = /go(\d+)\.(\d+)/.exec(version) ?? [];
  const newEnough = Number(major) > oldestGo.major || Number(minor) >= oldestGo.minor;
  if (!newEnough) throw new Error(`${wanted}; "go" on PATH is ${version.trim()}`);
}

/** Gets, every few seconds, the latest line of progress, the time since the start, and the number of lines so far. */
type Beat = (latestLine: string, time: string, count: number) => void;

/** Runs go in the module and returns its standard output. */
async function go(module: GoModule, args: readonly string[], beat: Beat): Promise<string> {
  // Static binaries: some of them run in containers that have no C library.
  const env = { ...process.env, CGO_ENABLED: '0' };
  const child = spawn('go', args, { cwd: module.directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const started = Date.now();
  const lines: string[] = [];
  createInterface(child.stderr).on('line', (line) => lines.push(line));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const heartbeat = setInterval(() => beat(lines.at(-1) ?? 'starting', elapsed(started), lines.length), heartbeatMs);
  try {
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (code !== 0) throw new Error(`go ${args[0] ?? ''} failed:\n${lines.slice(-20).join('\n')}`);
    return output;
  } finally {
    clearInterval(heartbeat);
  }
}
