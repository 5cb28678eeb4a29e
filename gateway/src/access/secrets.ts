// API keys, read from Secrets and kept for half a minute, so that a rotated key is followed without anybody's restart.
import type { ProviderModel } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import { GatewayError, misconfigured } from '../errors.ts';
import type { Clock, SecretSource } from '../options.ts';

const FRESH_MS = 30_000;
/** A missing Secret is looked for again soon: whoever just made it waits for it. */
const MISSING_MS = 2_000;
const CAPACITY = 4096;

type Data = Record<string, string> | undefined;

export interface Keys {
  /**
   * The API key of a Model; `undefined` if it needs none. `reload` reads the Secret again, however fresh it is. Throws a
   * 424 `SecretNotFound` if the Secret, the key in it or a usable value is missing.
   */
  of(model: ProviderModel, reload?: boolean): Promise<string | undefined>;
}

/** The data of a Secret; `reload` reads it again, however fresh it is. Throws a 503 if it cannot be read now. */
type ReadData = (namespace: string, name: string, reload?: boolean) => Promise<Data>;

export function createSecrets(source: SecretSource, clock: Clock): ReadData {
  const known = new BoundedMap<string, { data: Data; until: number }>(CAPACITY);
  const reading = new Map<string, Promise<Data>>();

  const read = async (namespace: string, name: string, id: string): Promise<Data> => {
    try {
      const data = await source.read(namespace, name);
      known.set(id, { data, until: clock.now() + (data ? FRESH_MS : MISSING_MS) });
      return data;
    } catch (error) {
      const message = `Secret ${name} cannot be read now: the Kubernetes API does not answer.`;
      throw new GatewayError(503, 'InternalError', message, { retryAfter: '1', cause: error });
    } finally {
      reading.delete(id);
    }
  };

  return async (namespace, name, reload = false) => {
    const id = `${namespace}/${name}`;
    const cached = known.get(id);
    if (!reload && cached && clock.now() < cached.until) return cached.data;
    const pending = reading.get(id) ?? read(namespace, name, id);
    reading.set(id, pending);
    return pending;
  };
}

export function createKeys(source: SecretSource, clock: Clock): Keys {
  const secret = createSecrets(source, clock);
  return {
    of: async (model, reload = false) => {
      const ref = model.spec.auth?.secretRef;
      if (!ref) {
        mustNotNeedKey(model);
        return undefined;
      }
      const data = await secret(model.metadata.namespace ?? '', ref.name, reload);
      if (!data)
        throw misconfigured(
          'SecretNotFound',
          `Model ${model.metadata.name} needs Secret ${ref.name}, which is not there.`,
        );
      const value = Object.hasOwn(data, ref.key) ? data[ref.key]?.trim() : undefined;
      if (!value) throw misconfigured('SecretNotFound', `Secret ${ref.name} has no key ${ref.key}.`);
      // Checked here because HTTP clients quote a value that no header may hold in their error messages.
      if (!/^[\x21-\x7e]+$/.test(value)) {
        throw misconfigured(
          'SecretNotFound',
          `Key ${ref.key} of Secret ${ref.name} holds characters that no API key has.`,
        );
      }
      return value;
    },
  };
}

/** Only a server of one's own (or a proxy that adds the key) answers without one. */
function mustNotNeedKey(model: ProviderModel): void {
  if (model.spec.provider !== 'simulated' && model.spec.baseUrl === undefined) {
    throw misconfigured(
      'SecretNotFound',
      `Model ${model.metadata.name} has no auth.secretRef; ${model.spec.provider} needs an API key.`,
    );
  }
}
