import { spawnSync } from 'node:child_process';

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Of all processes of this machine. */
export const commandsOf = (): string[] =>
  spawnSync('ps', ['-e', '-o', 'args='], { encoding: 'utf8' }).stdout.split('\n');
