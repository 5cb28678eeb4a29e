// Takes secrets out of what servers say.

export interface Redactor {
  /** Gives the secret back. */
  remember(secret: string): string;
  text(text: string): string;
  /** Of a value that is JSON. */
  json(value: unknown): unknown;
}

/** What is shorter is found everywhere, and nobody's secret. */
const SHORTEST = 6;
const REDACTED = '[redacted]';

export function createRedactor(): Redactor {
  const known = new Set<string>();
  const text = (said: string): string => [...known].reduce((left, one) => left.replaceAll(one, REDACTED), said);
  return {
    remember: (secret) => {
      for (const form of formsOf(secret.trim())) if (form.length >= SHORTEST) known.add(form);
      return secret;
    },
    text,
    json: (value) => {
      const written = JSON.stringify(value);
      return [...known].some((one) => written.includes(one)) ? redactStrings(value, text) : value;
    },
  };
}

/** As it is, as basic authentication sends it, and the password of user:password alone; each also as JSON writes it. */
function formsOf(secret: string): string[] {
  const colon = secret.indexOf(':');
  const plain = [secret, ...(colon < 0 ? [] : [secret.slice(colon + 1)])];
  const forms = [...plain, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)];
  return [...new Set([...forms, ...plain.map((one) => JSON.stringify(one).slice(1, -1))])].toSorted(
    (a, b) => b.length - a.length,
  );
}

function redactStrings(value: unknown, text: (said: string) => string): unknown {
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return value.map((one) => redactStrings(one, text));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [text(key), redactStrings(one, text)]));
}
