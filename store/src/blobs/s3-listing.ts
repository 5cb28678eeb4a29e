// The answer to ListObjectsV2.

export interface Listing {
  objects: { key: string; bytes: number }[];
  /** Where the next page begins. */
  next: string | undefined;
}

/** Reads the few elements that matter. Throws an Error for anything that is no listing. */
export function readListing(xml: string): Listing {
  if (!/<ListBucketResult[\s>/]/.test(xml)) throw new Error(`the server sent no listing: ${xml.slice(0, 200)}`);
  const objects = Array.from(xml.matchAll(/<Contents>(.*?)<\/Contents>/gs), ([, entry = '']) => ({
    key: element(entry, 'Key') ?? '',
    bytes: Number(element(entry, 'Size')),
  }));
  const more = element(xml, 'IsTruncated') === 'true';
  return { objects, next: more ? element(xml, 'NextContinuationToken') : undefined };
}

/** The text of the first element of that name. */
export function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, decode);
}

const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function decode(whole: string, decimal?: string, hex?: string, entity?: string): string {
  if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
  if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
  return ENTITIES.get(entity ?? '') ?? whole;
}
