// JSON or YAML, whichever it is.
import { DocumentError } from './schemas.ts';

/** Reading YAML takes a hundred times as long as reading JSON, and nothing else runs meanwhile. */
const MAX_YAML = 512 * 1024;

/** @throws DocumentError */
export async function parseDocument(text: string): Promise<unknown> {
  if (/^\s*\{/.test(text)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      // YAML may begin like that, too.
    }
  }
  if (text.length > MAX_YAML)
    throw new DocumentError(`as YAML it is larger than ${MAX_YAML / 1024} KiB; give it as JSON`);
  const { parse } = await import('./yaml.ts');
  try {
    return parse(text, { maxAliasCount: 100, logLevel: 'silent' }) as unknown;
  } catch {
    throw new DocumentError('it is neither JSON nor YAML');
  }
}
