import { createHash } from 'node:crypto';

/** A DNS label of at most 63 characters that starts with what people look for and ends with what makes it unique. */
export function objectName(readable: string, key: string): string {
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 10);
  const start = readable
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 52)
    .replace(/^[^a-z]+|-+$/g, '');
  return start === '' ? `run-${hash}` : `${start}-${hash}`;
}
