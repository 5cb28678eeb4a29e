// One JSON value, kept in its row or, if it is large, as a blob to which the row refers.
import type { BlobRef, Blobs } from './blobs.ts';

export interface Payloads {
  /** What to write into the row. Resolves once a blob that it refers to is durable. */
  store: (owner: string, value: unknown) => Promise<unknown>;
  /** What was given to `store`. Throws BlobMissingError or BlobDamagedError. */
  load: (owner: string, stored: unknown) => Promise<unknown>;
}

export interface PayloadOptions {
  /** Values whose JSON is longer become blobs. */
  inlineBytes: number;
  /** How much of what was read is kept in memory, for whoever polls. */
  cacheBytes: number;
}

/** So many blobs are on their way at once: neither file handles nor sockets run out. */
const TRANSFERS = 16;
/** An object with this single key refers to a blob. */
const REFERENCE = '$blob';
/** What looks like a reference, or like one that was escaped. */
const LOOKALIKE = /^\$+blob$/;

export function payloadsIn(blobs: Blobs, { inlineBytes, cacheBytes }: PayloadOptions): Payloads {
  const transfer = gate(TRANSFERS);
  const recent = new RecentTexts(cacheBytes);
  return {
    async store(owner, value) {
      const json = JSON.stringify(value) as string | undefined;
      // What JSON cannot say, such as undefined, is the store's to judge.
      if (json === undefined) return value;
      if (Buffer.byteLength(json) <= inlineBytes) return json.startsWith('{"$') ? escape(JSON.parse(json)) : value;
      return { [REFERENCE]: await transfer(() => blobs.put(owner, Buffer.from(json))) };
    },
    async load(owner, stored) {
      const ref = referenceIn(stored);
      if (ref === undefined) return unescape(stored);
      const key = `${owner}/${ref.day}-${ref.sha256}`;
      const text = recent.get(key) ?? Buffer.from(await transfer(() => blobs.get(owner, ref))).toString();
      recent.set(key, text);
      return JSON.parse(text) as unknown;
    },
  };
}

/** The blob to which a stored value refers, if it does. */
export function referenceIn(stored: unknown): BlobRef | undefined {
  if (soleKey(stored) !== REFERENCE) return undefined;
  const ref = (stored as { [REFERENCE]: unknown })[REFERENCE];
  return isRef(ref) ? ref : undefined;
}

function isRef(ref: unknown): ref is BlobRef {
  if (typeof ref !== 'object' || ref === null) return false;
  const { sha256, bytes, day } = ref as Partial<BlobRef>;
  return typeof sha256 === 'string' && typeof bytes === 'number' && typeof day === 'string';
}

// A user's own {"$blob": …} is stored as {"$$blob": …}, that one as {"$$$blob": …}, and so on. So no run can name
// another's blob in its input.
function escape(value: unknown): unknown {
  const key = soleKey(value);
  return key !== undefined && LOOKALIKE.test(key) ? { [`$${key}`]: (value as Record<string, unknown>)[key] } : value;
}

function unescape(stored: unknown): unknown {
  const key = soleKey(stored);
  if (key === undefined || key === REFERENCE || !LOOKALIKE.test(key)) return stored;
  return { [key.slice(1)]: (stored as Record<string, unknown>)[key] };
}

function soleKey(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const [key, ...others] = Object.keys(value);
  return others.length === 0 ? key : undefined;
}

type Gate = <T>(work: () => Promise<T>) => Promise<T>;

function gate(places: number): Gate {
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (places > 0) places--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else places++;
    }
  };
}

/** The texts that were used last, up to a number of characters in all. */
class RecentTexts {
  readonly #texts = new Map<string, string>();
  readonly #limit: number;
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): string | undefined {
    return this.#texts.get(key);
  }

  set(key: string, text: string): void {
    this.#drop(key);
    this.#texts.set(key, text);
    this.#size += text.length;
    for (const oldest of this.#texts.keys()) {
      if (this.#size <= this.#limit) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#size -= this.#texts.get(key)?.length ?? 0;
    this.#texts.delete(key);
  }
}
