// Values of Secrets, kept for half a minute, so that a flood of requests is none on the API server, and a new value is
// followed without anybody's restart.
import type { SecretKeyRef } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import { unavailable } from '../refusal.ts';
import type { Clock, SecretSource } from '../options.ts';

const FRESH_MS = 30_000;
/** A Secret that is missing, or whose value did not fit, is read again after so long at the earliest. */
const RELOAD_MS = 2_000;
const CAPACITY = 4096;

export interface SecretValues {
  /** `undefined`: the Secret, the key in it or a value is missing. `reload`: read it again, unless it was read just now. */
  of(namespace: string, ref: SecretKeyRef, reload?: boolean): Promise<string | undefined>;
}

type Data = Record<string, string> | undefined;

export function createSecretValues(source: SecretSource, clock: Clock): SecretValues {
  const known = new BoundedMap<string, { data: Data; at: number }>(CAPACITY);
  const reading = new Map<string, Promise<Data>>();

  const read = async (namespace: string, name: string, id: string): Promise<Data> => {
    try {
      const data = await source.read(namespace, name);
      known.set(id, { data, at: clock.now() });
      return data;
    } catch (error) {
      throw unavailable('The request cannot be checked now. Send it again.', error);
    } finally {
      reading.delete(id);
    }
  };

  return {
    of: async (namespace, { name, key }, reload = false) => {
      const id = `${namespace}/${name}`;
      const cached = known.get(id);
      const longest = reload || !cached?.data ? RELOAD_MS : FRESH_MS;
      let data = cached?.data;
      if (!cached || Math.abs(clock.now() - cached.at) >= longest) {
        const pending = reading.get(id) ?? read(namespace, name, id);
        reading.set(id, pending);
        data = await pending;
      }
      // Files end in a newline that nobody means.
      const value = data && Object.hasOwn(data, key) ? data[key]?.trim() : undefined;
      return value === '' ? undefined : value;
    },
  };
}
