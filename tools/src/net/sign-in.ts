// How a Tool's secret is presented.
import type { SecretKeyRef } from '@kadre/crds';
import type { ReadSecret } from '../contract.ts';
import { ToolError } from '../tool-error.ts';

export interface Auth {
  secretRef: SecretKeyRef;
  scheme: 'bearer' | 'basic' | 'header';
  header?: string | undefined;
}

/** The headers that sign a request in. */
export async function signIn(auth: Auth | undefined, secret: ReadSecret): Promise<Record<string, string>> {
  if (auth === undefined) return {};
  const value = await readSecret(auth.secretRef, secret);
  switch (auth.scheme) {
    case 'bearer':
      return { authorization: `Bearer ${value}` };
    case 'basic':
      return { authorization: `Basic ${Buffer.from(value).toString('base64')}` };
    case 'header':
      return { [auth.header?.toLowerCase() ?? 'authorization']: value };
  }
}

/** Without the line break that many files of keys end with. */
export async function readSecret({ name, key }: SecretKeyRef, secret: ReadSecret): Promise<string> {
  const value = (await secret(name, key)).trim();
  if (value === '') throw new ToolError('misconfigured', `The key ${key} of the Secret ${name} is empty: fill it.`);
  if (/[^\x20-\x7e]/.test(value)) {
    throw new ToolError(
      'misconfigured',
      `The key ${key} of the Secret ${name} holds line breaks or other characters that no header may have: store the bare token.`,
    );
  }
  return value;
}
