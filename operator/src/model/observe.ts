import { RE2JS } from 're2js';
import type { Model } from '@kadre/crds';

/** All that a decision about a Model rests on. */
export interface ModelSnapshot {
  model: Model;
  /** `unused`: the model names no Secret. Of the Secret itself nothing is kept. */
  secret: 'unused' | 'present' | 'absent' | 'keyAbsent';
  /** Patterns of the script that are not regular expressions. */
  invalidPatterns: { index: number; message: string }[];
}

/** Reads a Secret; undefined if there is none. */
export type ReadSecret = (namespace: string, name: string) => Promise<Record<string, string> | undefined>;

export async function observeModel(model: Model, readSecret: ReadSecret): Promise<ModelSnapshot> {
  return { model, secret: await secretState(model, readSecret), invalidPatterns: invalidPatterns(model) };
}

async function secretState(model: Model, readSecret: ReadSecret): Promise<ModelSnapshot['secret']> {
  const reference = model.spec.auth?.secretRef;
  if (!reference) return 'unused';
  const secret = await readSecret(model.metadata.namespace ?? '', reference.name);
  if (!secret) return 'absent';
  return secret[reference.key] ? 'present' : 'keyAbsent';
}

function invalidPatterns(model: Model): ModelSnapshot['invalidPatterns'] {
  const script = model.spec.simulated?.script ?? [];
  return script.flatMap(({ match }, index) => {
    const message = match === undefined ? undefined : patternError(match);
    return message === undefined ? [] : [{ index, message }];
  });
}

/** The same engine that the gateway matches with, so that both agree on what is a pattern. */
function patternError(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
