// Agents of other frameworks, as processes of their own: what their images run.
import { agentConfig } from '@kadre/crds';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from '../../support/free-port.ts';
import { ensurePython } from '../store/python.ts';

export const EXAMPLES = join(import.meta.dirname, '..', '..', '..', 'examples', 'frameworks');

/** The interpreter that has all frameworks, in the versions that the examples name. */
export async function ensureFrameworks(): Promise<string> {
  const lines = (await readFile(join(EXAMPLES, 'constraints.txt'), 'utf8')).split('\n');
  return ensurePython(
    lines.filter((line) => line !== '' && !line.startsWith('#')),
    { complete: true },
  );
}

export interface ForeignAgent {
  url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** One step, as in a Job, whose token is `token-`, its name and `-job`; resolves with the exit status. */
  step(token: string): Promise<number | null>;
}

export interface ForeignAgentOptions {
  python: string;
  /** Its name. */
  framework: string;
  /** The file to run. Absent: that of its folder among the examples. */
  program?: string;
  gatewayUrl: string;
  model: string;
  namespace: string;
  /** For its token and for what it writes. */
  folder: string;
  /** Where requests to elsewhere than loopback go. */
  proxy: string;
}

/** Its token is `token-` and its name. */
export async function foreignAgent(options: ForeignAgentOptions): Promise<ForeignAgent> {
  const { python, framework, gatewayUrl, model, namespace, folder, proxy } = options;
  const { program = join(EXAMPLES, framework, 'agent.py') } = options;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const tokenFile = join(folder, `${framework}.token`);
  await writeFile(tokenFile, `token-${framework}\n`);
  const config = agentConfig.parse({ name: framework, namespace, instructions: 'Be exact.', model });
  const env = {
    PATH: process.env['PATH'],
    PYTHONPATH: join(EXAMPLES, 'shared'),
    HOME: folder,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: '127.0.0.1',
    KADRE_AGENT: JSON.stringify(config),
    KADRE_GATEWAY_URL: gatewayUrl,
    KADRE_TOKEN_FILE: tokenFile,
    KADRE_POD_IP: '127.0.0.1',
    KADRE_PORT: String(port),
  };
  const log = join(folder, `${framework}.log`);
  const run = (args: string[], more: NodeJS.ProcessEnv = {}): ChildProcess => {
    const output = openSync(log, 'a');
    try {
      const options = { cwd: folder, env: { ...env, ...more } };
      return spawn(python, [program, ...args], { ...options, stdio: ['ignore', output, output] });
    } finally {
      closeSync(output);
    }
  };

  let child: ChildProcess | undefined;
  return {
    url,
    start: async () => {
      child = run([]);
      while (!(await isReady(url)))
        if (child.exitCode !== null) throw new Error(`the agent has ended: ${await readFile(log, 'utf8')}`);
    },
    kill: async () => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    step: async (token) => {
      const job = `${tokenFile}.job`;
      await writeFile(job, `token-${framework}-job\n`);
      const child = run(['step'], { KADRE_STEP_TOKEN: token, KADRE_TOKEN_FILE: job });
      const [status] = (await once(child, 'exit')) as [number | null];
      return status;
    },
  };
}

/** Takes a moment if it is not. */
async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    await setTimeout(50);
    return false;
  }
}
