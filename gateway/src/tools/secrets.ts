// The Secrets that Tools sign in with.
import { ToolError, type ReadSecret } from '@kadre/tools';
import { createSecrets } from '../access/secrets.ts';
import type { Clock, SecretSource } from '../options.ts';

/** For the Tools of one namespace. */
export function createToolSecrets(source: SecretSource, clock: Clock): (namespace: string) => ReadSecret {
  const read = createSecrets(source, clock);
  return (namespace) => async (name, key) => {
    const data = await read(namespace, name).catch((cause: unknown) => {
      const message = `Secret ${name} cannot be read now: the Kubernetes API does not answer.`;
      throw new ToolError('misconfigured', message, { retry: true, cause });
    });
    if (!data) throw new ToolError('misconfigured', `It needs Secret ${name}, which is not there.`);
    const value = Object.hasOwn(data, key) ? data[key]?.trim() : undefined;
    if (!value) throw new ToolError('misconfigured', `Secret ${name} has no key ${key}.`);
    return value;
  };
}
