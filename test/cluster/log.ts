import { readFileSync } from 'node:fs';

/** The last `lines` lines of a log; empty when there is none. */
export function tailOf(logFile: string, lines = 20): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
