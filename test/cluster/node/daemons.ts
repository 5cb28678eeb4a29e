import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeSettings } from './settings.ts';

/** A program that goes on running after `up` has ended. */
export interface Daemon {
  readonly name: string;
  /** Absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** Files it reads at its start only: when one changes, the daemon is started anew. */
  readonly configFiles?: readonly string[];
}

// Daemons carry who they are in their environment. There are no pid files to go stale, and what a daemon starts in turn,
// such as containerd's shims, is known as ours too.
const stateVariable = 'KADRE_CLUSTER_STATE';
const nameVariable = 'KADRE_CLUSTER_DAEMON';
const fingerprintVariable = 'KADRE_CLUSTER_FINGERPRINT';

/** A daemon, or what it has started in turn; then `name` is the daemon's. */
export interface OwnProcess {
  readonly pid: number;
  readonly program: string;
  readonly name: string;
  readonly fingerprint: string;
}

/** Starts the daemon unless it runs already with the same program, arguments and configuration. Returns whether it had to. */
export async function ensureDaemon(settings: NodeSettings, daemon: Daemon): Promise<boolean> {
  if (isRunning(settings, daemon)) return false;
  await stopDaemon(settings, daemon.name);
  const logFile = settings.logFile(daemon.name);
  mkdirSync(path.dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  const environment = {
    PATH: process.env['PATH'],
    HOME: settings.directory,
    [stateVariable]: settings.directory,
    [nameVariable]: daemon.name,
    [fingerprintVariable]: fingerprintOf(daemon),
  };
  const options = { cwd: settings.directory, env: environment, detached: true };
  const child = spawn(daemon.program, daemon.args, { ...options, stdio: ['ignore', log, log] });
  closeSync(log);
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  child.unref();
  return true;
}

/** Whether the daemon runs as described: same program, arguments and configuration. */
function isRunning(settings: NodeSettings, daemon: Daemon): boolean {
  const program = realpathSync(daemon.program);
  const fingerprint = fingerprintOf(daemon);
  return ownProcesses(settings).some(
    (found) => found.name === daemon.name && found.program === program && found.fingerprint === fingerprint,
  );
}

/** The names of all daemons that run, whether as described or not. */
export function runningDaemons(settings: NodeSettings): ReadonlySet<string> {
  const own = ownProcesses(settings).filter(({ program }) => !isShim(program));
  return new Set(own.map(({ name }) => name));
}

/** Kills a daemon, but not what it has started. */
export async function stopDaemon(settings: NodeSettings, name: string): Promise<void> {
  await killUntilGone(() => ownProcesses(settings).filter((found) => found.name === name && !isShim(found.program)));
}

/** Kills all daemons and everything that they have started, except containers. */
export async function stopAllDaemons(settings: NodeSettings): Promise<void> {
  await killUntilGone(() => ownProcesses(settings));
}

/** Kills with SIGKILL what `find` finds until it finds nothing more. */
export async function killUntilGone(find: () => readonly { readonly pid: number }[]): Promise<void> {
  for (let found = find(); found.length > 0; found = find()) {
    for (const { pid } of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    await delay(20);
  }
}

// A shim outlives containerd and serves the next one.
function isShim(program: string): boolean {
  return path.basename(program).startsWith('containerd-shim');
}

function fingerprintOf({ program, args, configFiles = [] }: Daemon): string {
  const hash = createHash('sha256').update(JSON.stringify([program, args]));
  for (const file of configFiles) hash.update(readFileSync(file));
  return hash.digest('hex');
}

/** All processes of this cluster except those in containers. */
export function ownProcesses({ directory }: NodeSettings): OwnProcess[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const environment = new Map(
        readFileSync(`/proc/${entry}/environ`, 'utf8')
          .split('\0')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      if (environment.get(stateVariable) !== directory) return [];
      const program = readlinkSync(`/proc/${entry}/exe`);
      const name = environment.get(nameVariable) ?? '';
      return [{ pid: Number(entry), program, name, fingerprint: environment.get(fingerprintVariable) ?? '' }];
    } catch {
      return []; // It has ended meanwhile, or is nobody's business of ours.
    }
  });
}
