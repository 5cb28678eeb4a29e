// The pod's own token. The kubelet replaces the file well before the token expires.
import { readFile, stat } from 'node:fs/promises';
import { AgentFailure } from './failure.ts';

/** Yields the bearer token for the gateway. Throws an {@link AgentFailure} with reason Unauthorized. */
export type TokenSource = () => Promise<string>;

const MAX_AGE_MS = 60_000;

/**
 * Reads the token again when the file has changed or after a minute, whichever comes first. While the file cannot be
 * read, the token that was read before stays in use.
 */
export function tokenFromFile(file: string, now: () => number = Date.now): TokenSource {
  let cached: { token: string; mtimeMs: number; readAt: number } | undefined;
  return async () => {
    try {
      const { mtimeMs } = await stat(file);
      if (cached === undefined || cached.mtimeMs !== mtimeMs || now() - cached.readAt >= MAX_AGE_MS) {
        const token = (await readFile(file, 'utf8')).trim();
        if (token !== '') cached = { token, mtimeMs, readAt: now() };
      }
    } catch (error) {
      if (cached === undefined) throw noToken(file, error);
    }
    if (cached === undefined) throw noToken(file, undefined);
    return cached.token;
  };
}

function noToken(file: string, cause: unknown): AgentFailure {
  const why =
    cause === undefined
      ? 'it is empty'
      : `it cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'})`;
  return new AgentFailure('Unauthorized', `The agent has no token for the gateway: ${file}: ${why}.`, { cause });
}
