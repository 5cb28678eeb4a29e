// The real Open Policy Agent, built from its Go module, as a server on a free port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureBuilt } from '../cluster/go-build.ts';
import type { Report } from '../cluster/report.ts';
import { freePort } from './free-port.ts';

const directory = path.join(import.meta.dirname, 'opa');
const announcement = 'building Open Policy Agent from its Go module; the first time takes minutes';

/** Returns the folder that holds the program `opa`. */
export function ensureOpa(report: Report): Promise<string> {
  const packages = ['github.com/open-policy-agent/opa'];
  return ensureBuilt({ directory, packages, linkerFlags: ['-s', '-w'], announcement }, report);
}

export interface OpaServer {
  /** Such as http://127.0.0.1:8181 */
  url: string;
  /** Everything that it printed: with each decision that it was asked for. */
  log(): string;
  stop(): Promise<void>;
}

/**
 * @param folder where the policy is written to
 * @param policy Rego
 */
export async function startOpa(folder: string, policy: string, report: Report = () => undefined): Promise<OpaServer> {
  const built = await ensureOpa(report);
  const file = path.join(folder, 'policy.rego');
  await writeFile(file, policy);
  const url = `http://127.0.0.1:${await freePort()}`;
  const args = ['run', '--server', '--disable-telemetry', '--addr', url.slice('http://'.length), file];
  const child = spawn(path.join(built, 'opa'), [...args, '--set=decision_logs.console=true'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed += text));
  while (!(await answers(url))) {
    if (child.exitCode !== null) throw new Error(`Open Policy Agent ended:\n${printed.slice(-4000)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    url,
    log: () => printed,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
