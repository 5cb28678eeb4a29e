// Sandboxes on one's own machine: the same runner as in a pod, in namespaces that bubblewrap puts up for one program.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { SandboxSpec } from '@kadre/crds';
import { bubblewrapArguments, NOBODYS_ID, PYTHON } from './bubblewrap.ts';
import { readEvents } from './events.ts';
import { SandboxFailure } from './failure.ts';
import type { SandboxCall, SandboxHost } from './host.ts';
import type { SandboxEnd, SandboxJob } from './protocol.ts';

const GRACE_MS = 15_000;
const MAX_COMPLAINT = 1_000;
/** Root stays root behind its namespaces, and could write to what /proc shows of the kernel. */
const NOBODY = { uid: NOBODYS_ID, gid: NOBODYS_ID };

/** What of this machine is used, if not what is usual. */
export interface LaptopSandboxOptions {
  platform?: NodeJS.Platform;
  /** Where bwrap is looked for. */
  path?: string;
}

/** Nothing is asked of the machine until there is code to run; what is missing is a SandboxFailure 'Unavailable'. */
export function createLaptopSandbox(options: LaptopSandboxOptions = {}): SandboxHost {
  const { platform = process.platform, path = process.env['PATH'] ?? '/usr/bin:/bin' } = options;
  return {
    run: async (spec, job, call) => {
      const refusal = notOnLaptop(spec) ?? missing(platform);
      if (refusal) throw new SandboxFailure('Unavailable', refusal);
      call.signal.throwIfAborted();
      return runUnder(path, job, call);
    },
  };
}

/** @returns why such a sandbox is for clusters alone; undefined if it can be here, too */
export function notOnLaptop({ image, runtimeClassName }: Pick<SandboxSpec, 'image' | 'runtimeClassName'>) {
  if (image !== undefined) {
    return `code runs in the image ${image} on a cluster alone: leave the image out to run it with what this machine has`;
  }
  if (runtimeClassName !== undefined) {
    return `code runs under the runtime class ${runtimeClassName} on a cluster alone: leave it out to run it here, under bubblewrap`;
  }
  return undefined;
}

function missing(platform: NodeJS.Platform): string | undefined {
  if (platform !== 'linux') {
    return `code runs in a sandbox of Linux, and this is ${platform}: run it on Linux, in a virtual machine or on a cluster`;
  }
  return existsSync(PYTHON)
    ? undefined
    : `the sandbox needs ${PYTHON}: install Python 3 as your distribution packages it, such as apt-get install python3`;
}

async function runUnder(path: string, job: SandboxJob, call: SandboxCall): Promise<SandboxEnd> {
  const child = spawn('bwrap', bubblewrapArguments(job.limits), {
    cwd: '/',
    env: { PATH: path },
    stdio: 'pipe',
    // A group of its own, to be ended as one: while bubblewrap sets up, its child would outlive it.
    detached: true,
    ...(process.getuid?.() === 0 && NOBODY),
  });
  const ended = endOf(child);
  const deadline = AbortSignal.timeout(job.limits.timeoutMs + GRACE_MS);
  const kill = () => killGroup(child.pid);
  const over = AbortSignal.any([call.signal, deadline]);
  over.addEventListener('abort', kill, { once: true });
  try {
    child.stdin.on('error', () => undefined).write(`${JSON.stringify(job)}\n`);
    return await readEvents(child.stdout, job.limits, call.onOutput);
  } catch (error) {
    call.signal.throwIfAborted();
    kill();
    throw explain(await ended, error);
  } finally {
    over.removeEventListener('abort', kill);
    kill();
    await ended;
  }
}

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface Ended {
  /** That it could not be started. */
  error?: NodeJS.ErrnoException;
  code?: number | null;
  complaint: string;
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let complaint = '';
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (complaint = (complaint + text).slice(0, MAX_COMPLAINT)));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ error, complaint }));
    child.once('close', (code) => resolve({ code, complaint }));
  });
}

/** bubblewrap and the runner say on stderr what keeps them from starting. What the program says never gets there. */
function explain({ error, code, complaint }: Ended, cause: unknown): unknown {
  const words = complaint.trim();
  if (error?.code === 'ENOENT') {
    const message =
      'code runs in a sandbox, which needs bubblewrap: install it, such as with apt-get install bubblewrap';
    return new SandboxFailure('Unavailable', message, { cause: error });
  }
  if (error) return new SandboxFailure('Unavailable', `the sandbox cannot start: ${error.message}`, { cause: error });
  if (words.startsWith('bwrap: ')) {
    return new SandboxFailure('Unavailable', `the sandbox cannot start (${words}): ${hintFor(words)}`, { cause });
  }
  if (code === 2) return new SandboxFailure('Refused', `The sandbox refused the job: ${words}`, { cause });
  if (code === 3) return new SandboxFailure('Unavailable', `the sandbox cannot start: ${words}`, { cause });
  return cause;
}

const hintFor = (words: string) =>
  words.includes('source path')
    ? 'for root, code runs as nobody, who must be able to read Node and Kadre: install them elsewhere, or be an ordinary user'
    : 'bubblewrap must be allowed to use user namespaces, which containers and some distributions forbid';
