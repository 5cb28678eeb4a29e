// Blobs that a provider wants handed back unchanged: signatures of thoughts, encrypted reasoning. Without them Anthropic
// and Gemini refuse the turn after a tool call. Most clients drop fields that they do not know, but every client returns
// the id of a tool call, so where a dialect has no place of its own the blobs travel at its end.

/** Providers of one family understand each other's blobs. */
export type Family = 'openai' | 'anthropic' | 'google';

export interface Opaque {
  family: Family;
  /** What the provider gave: a signature, or an encrypted text. */
  data: string;
  /** The provider's id of the block, where it wants that back as well (OpenAI's reasoning items). */
  id?: string;
  /** `redacted`: Anthropic's block whose content is all in `data`. */
  kind?: 'redacted';
}

/** A thought that goes before a tool call; `text` as the provider gave it. */
export interface CarriedThought {
  text?: string;
  opaque: Opaque;
}

export interface ToolCallId {
  /** As the provider gave it, or as the gateway made it up. */
  id: string;
  /** The tool call's own blob. */
  opaque?: Opaque;
  /** The thoughts since the previous tool call, in order. */
  thoughts: CarriedThought[];
}

const MARK = '~k1~';

/** An id for the client, which `unpackToolCallId` takes apart again. */
export function packToolCallId({ id, opaque, thoughts }: ToolCallId): string {
  if (opaque === undefined && thoughts.length === 0) return id;
  return `${id}${MARK}${Buffer.from(JSON.stringify([opaque ?? null, thoughts])).toString('base64url')}`;
}

/** An id that nothing was packed into is itself, and so is one that somebody has tampered with. */
export function unpackToolCallId(packed: string): ToolCallId {
  const at = packed.lastIndexOf(MARK);
  if (at < 0) return { id: packed, thoughts: [] };
  const id = packed.slice(0, at);
  const content = parsed(Buffer.from(packed.slice(at + MARK.length), 'base64url').toString());
  if (!Array.isArray(content)) return { id, thoughts: [] };
  const [own, carried] = content as [unknown, unknown];
  const thoughts = Array.isArray(carried) ? carried.flatMap((thought: unknown) => thoughtOf(thought)) : [];
  return isOpaque(own) ? { id, opaque: own, thoughts } : { id, thoughts };
}

/** For dialects that have a place for a signature, but only for one of their own family: `kadre:<family>:…`. */
export function packSignature(opaque: Opaque, own: Family): string {
  if (opaque.family === own && opaque.id === undefined && opaque.kind === undefined) return opaque.data;
  return `${SIGNATURE}${Buffer.from(JSON.stringify(opaque)).toString('base64url')}`;
}

/** A signature that the gateway did not pack is the dialect's own. */
export function unpackSignature(packed: string, own: Family): Opaque {
  if (!packed.startsWith(SIGNATURE)) return { family: own, data: packed };
  const content = parsed(Buffer.from(packed.slice(SIGNATURE.length), 'base64url').toString());
  return isOpaque(content) ? content : { family: own, data: packed };
}

const SIGNATURE = 'kadre:';

function thoughtOf(value: unknown): CarriedThought[] {
  const { text, opaque } = (value ?? {}) as { text?: unknown; opaque?: unknown };
  if (!isOpaque(opaque)) return [];
  return [typeof text === 'string' ? { text, opaque } : { opaque }];
}

function isOpaque(value: unknown): value is Opaque {
  const { family, data, id, kind } = (value ?? {}) as Partial<Record<keyof Opaque, unknown>>;
  return (
    (family === 'openai' || family === 'anthropic' || family === 'google') &&
    typeof data === 'string' &&
    (id === undefined || typeof id === 'string') &&
    (kind === undefined || kind === 'redacted')
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
