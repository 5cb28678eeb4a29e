// What is not translated is refused, by name.
import { invalidRequest } from '../errors.ts';
import type { Dialect, ModelRequest, NativePart, Part } from '../conversation/request.ts';

/** Throws a 400 if the request has fields or parts of another dialect that would change the answer. */
export function refuseForeign({ native, messages }: ModelRequest, own: Dialect | undefined, who: string): void {
  if (native && native.dialect !== own) {
    const [field] = Object.keys(native.fields);
    if (field !== undefined) throw notOffered(field, who);
  }
  for (const [index, { parts }] of messages.entries()) {
    const foreign = parts.find((part): part is NativePart => isForeign(part, own));
    if (foreign) {
      const type = (foreign.value.type ?? 'unknown').slice(0, 64);
      throw invalidRequest(`${who} do not take parts of type ${type}.`, `messages[${index}]`);
    }
  }
}

const isForeign = (part: Part, own: Dialect | undefined): boolean => part.type === 'native' && part.dialect !== own;

/** Throws a 400 if one of these settings is there. */
export function refuseSettings(
  { sampling }: ModelRequest,
  settings: readonly (keyof typeof names)[],
  who: string,
): void {
  const setting = settings.find((one) => sampling[one] !== undefined && !isEmpty(sampling[one]));
  if (setting !== undefined) throw notOffered(names[setting], who);
}

const isEmpty = (value: unknown): boolean => value === 0 || (Array.isArray(value) && value.length === 0);

const names = {
  topK: 'top_k',
  seed: 'seed',
  stop: 'stop',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
} as const;

const notOffered = (field: string, who: string): Error =>
  invalidRequest(`\`${field}\` is not something that the gateway offers for ${who}.`, field);
