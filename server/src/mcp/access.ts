// Who asks, and whether they may: whoever may create Runs in the namespace may use what is offered there.
import { BoundedMap } from '@kadre/store';
import { createHash } from 'node:crypto';
import type { Clock } from '../options.ts';
import { Refusal, unavailable } from '../refusal.ts';
import type { McpSource, McpUser } from './options.ts';

/** A right that is taken away holds for so long still. */
const FRESH_MS = 10_000;
const MOST_KEPT = 1_000;

export type Admit = (authorization: string | undefined, namespace: string) => Promise<McpUser>;

/** Throws a 401, a 403 or a 503. */
export function createAdmit(source: McpSource, clock: Clock): Admit {
  const users = remembered<McpUser | undefined>(clock);
  const rights = remembered<boolean>(clock);
  return async (authorization, namespace) => {
    const [, token] = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '') ?? [];
    if (token === undefined) throw unauthorized('Show a token: Authorization: Bearer …');
    const user = await users(createHash('sha256').update(token).digest('hex'), () => source.authenticate(token));
    if (!user) throw unauthorized('The token is not valid here, or it has expired.');
    const who = JSON.stringify([user.username, user.uid, user.groups, user.extra, namespace]);
    if (await rights(who, () => source.mayCreateRuns(user, namespace))) return user;
    const message = `${user.username} may not create Runs in namespace ${namespace}; ask for a Role with the verb "create" on runs.kadre.dev`;
    throw new Refusal(403, 'Forbidden', message);
  };
}

const unauthorized = (message: string): Refusal => new Refusal(401, 'Unauthorized', message);

function remembered<T>(clock: Clock): (key: string, find: () => Promise<T>) => Promise<T> {
  const known = new BoundedMap<string, { at: number; value: T }>(MOST_KEPT);
  return async (key, find) => {
    const found = known.get(key);
    if (found && clock.now() - found.at < FRESH_MS) return found.value;
    try {
      const value = await find();
      known.set(key, { at: clock.now(), value });
      return value;
    } catch (cause) {
      throw unavailable('It cannot be found out just now who you are and what you may do.', cause);
    }
  };
}
