// Where the keys of providers and tools come from when there is no cluster: a variable that names the Secret, a Secret among the
// manifests, or the provider's usual variable.
import { toolSecret, type Model, type Provider, type SecretKeyRef, type Tool } from '@kadre/crds';

export type Environment = Record<string, string | undefined>;
type Secrets = (name: string) => Record<string, string> | undefined;

/** Secret llm, key openai → KADRE_SECRET_LLM_OPENAI. */
function secretVariable(secret: string, key: string): string {
  const part = (text: string): string => text.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
  return `KADRE_SECRET_${part(secret)}_${part(key)}`;
}

const usual: Partial<Record<Provider, readonly string[]>> = {
  openai: ['OPENAI_API_KEY'],
  anthropic: ['ANTHROPIC_API_KEY'],
  google: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
};

const usualVariables = ({ provider }: Model['spec']): readonly string[] => (provider && usual[provider]) ?? [];

/**
 * The key of a model, or undefined. The usual variables go to the providers themselves alone: with a `baseUrl` a manifest
 * could send them anywhere.
 */
export function keyOf({ spec }: Model, secrets: Secrets, env: Environment): string | undefined {
  const ref = spec.auth?.secretRef;
  if (!ref) return undefined;
  const own = given(ref, secrets, env);
  if (own !== undefined) return own;
  if (spec.baseUrl !== undefined) return undefined;
  return usualVariables(spec)
    .map((name) => env[name])
    .find(filled);
}

/** What to do about a model without its key. */
export function missingKey({ metadata, spec }: Model): string {
  const ref = spec.auth?.secretRef;
  if (!ref) return `Model ${metadata.name} has no auth.secretRef`;
  const variables = [secretVariable(ref.name, ref.key), ...(spec.baseUrl === undefined ? usualVariables(spec) : [])];
  return (
    `Model ${metadata.name} needs the key ${ref.key} of Secret ${ref.name}: set ${variables.join(' or ')}, ` +
    `or add -f with a manifest of that Secret`
  );
}

/** What a Tool shows to its server, or undefined. */
export function toolKeyOf({ spec }: Tool, secrets: Secrets, env: Environment): string | undefined {
  const ref = toolSecret(spec);
  return ref && given(ref, secrets, env);
}

/** What to do about a Tool without its key. */
export function missingToolKey({ metadata }: Tool, { name, key }: SecretKeyRef): string {
  return (
    `Tool ${metadata.name} needs the key ${key} of Secret ${name}: set ${secretVariable(name, key)}, ` +
    `or add -f with a manifest of that Secret`
  );
}

/** What is shown where documents of a Knowledge are fetched, or undefined. */
export const knowledgeKeyOf = (ref: SecretKeyRef, secrets: Secrets, env: Environment): string | undefined =>
  given(ref, secrets, env);

/** What to do about a Knowledge without its key. */
export function missingKnowledgeKey(knowledge: string, { name, key }: SecretKeyRef): string {
  return (
    `Knowledge ${knowledge} needs the key ${key} of Secret ${name}: set ${secretVariable(name, key)}, ` +
    `or add -f with a manifest of that Secret`
  );
}

/** As the gateway reads it: all keys of one Secret that models and tools name. */
export function secretData(
  keys: readonly { ref: SecretKeyRef | undefined; value: string | undefined }[],
  name: string,
): Record<string, string> | undefined {
  const entries = keys.flatMap(({ ref, value }) =>
    ref?.name === name && value !== undefined ? [[ref.key, value] as const] : [],
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function given({ name, key }: SecretKeyRef, secrets: Secrets, env: Environment): string | undefined {
  const own = env[secretVariable(name, key)] ?? secrets(name)?.[key];
  return filled(own) ? own : undefined;
}

function filled(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== '';
}
