// Paths with places for arguments.

const FIELD = /\{([^{}]*)\}/g;

export class WrongArgumentError extends Error {
  override name = 'WrongArgumentError';
}

/** The names of the places, each once. */
export const fieldsOf = (path: string): string[] => [
  ...new Set([...path.matchAll(FIELD)].map(([, name = '']) => name)),
];

/**
 * No value leads out of its place: each is encoded, and one that a server might take for a step up is refused.
 *
 * @throws WrongArgumentError, which the model should read
 */
export function fillPath(path: string, values: Readonly<Record<string, unknown>>): string {
  return path.replace(FIELD, (_place, name: string) => encodeURIComponent(pathValue(name, values[name])));
}

function pathValue(name: string, value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    throw new WrongArgumentError(`${name} stands in the address, so it must be a text, a number or true or false.`);
  }
  const text = String(value);
  if (text === '') throw new WrongArgumentError(`${name} stands in the address, so it must not be empty.`);
  if (
    text.split(/[/\\]/).some((part) => part === '.' || part === '..') ||
    /\p{Cc}/u.test(text) ||
    !text.isWellFormed()
  ) {
    throw new WrongArgumentError(
      `${name} stands in the address, so it must not be a path such as .. or hold control characters.`,
    );
  }
  return text;
}

/** As a query: lists come again and again, objects as JSON; what is null is left out. */
export function addToQuery(query: URLSearchParams, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one !== null && one !== undefined) query.append(name, plainText(one));
    }
  }
}

export const plainText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
