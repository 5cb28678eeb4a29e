import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = join(import.meta.dirname, 'mortal-gateway.ts');

export interface MortalGateway {
  url: string;
  /** By SIGKILL, if it has not died by itself. */
  kill(): Promise<void>;
}

/** A gateway in a process of its own; `fault`: the number of the write at which it dies, and whether before or after it. */
export async function startMortalGateway(path: string, provider: string, ...fault: string[]): Promise<MortalGateway> {
  const started = spawn(process.execPath, [PROGRAM, path, provider, ...fault], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  const kill = async (): Promise<void> => {
    if (started.exitCode !== null || started.signalCode !== null) return;
    started.kill('SIGKILL');
    await once(started, 'exit');
  };
  for await (const url of createInterface({ input: started.stdout })) return { url, kill };
  throw new Error('the gateway did not start');
}
