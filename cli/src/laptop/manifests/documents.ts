// Where manifests come from: files, folders with all below them, and standard input; several documents in each.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
} from 'yaml';
import { UsageError } from '../errors.ts';
import type { Path } from './path.ts';

/** Where something stands; line and column count from 1. */
export interface Position {
  file: string;
  line: number;
  column: number;
}

/** One YAML document, or one item of a List. */
export interface SourceDocument {
  /** As it was named on the command line, or below a folder that was; `-` for standard input. */
  file: string;
  /** Which `-f` it came from, from 0. What is named later replaces what came before. */
  source: number;
  value: unknown;
  /** What keeps it from being read; then there is no value. */
  faults: { at: Position; message: string }[];
  /** Of the field, or of the nearest one around it that is there. */
  locate: (path: Path) => Position;
}

const EXTENSIONS = /\.(ya?ml|json)$/i;

/** @throws {UsageError} for a file that is not there or cannot be read, and for a folder without manifests. */
export async function readDocuments(
  sources: readonly string[],
  stdin: () => Promise<string>,
): Promise<SourceDocument[]> {
  const read = await Promise.all(
    sources.map(async (source, number) => (await filesOf(source)).map((file) => ({ file, number }))),
  );
  const texts = await Promise.all(
    read.flat().map(async ({ file, number }) => ({ file, number, text: await textOf(file, stdin) })),
  );
  return texts.flatMap(({ file, number, text }) => parseDocuments(text, file, number));
}

async function filesOf(source: string): Promise<string[]> {
  if (source === '-') return ['-'];
  const found = await stat(source).catch((error: unknown) => {
    throw unreadable(source, error);
  });
  if (!found.isDirectory()) return [source];
  const entries = await readdir(source, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && EXTENSIONS.test(entry.name));
  const names = files.map((entry) => join(entry.parentPath, entry.name)).filter((name) => !hidden(name, source));
  if (names.length === 0) throw new UsageError(`${source} holds no file that ends in .yaml, .yml or .json`);
  return names.sort();
}

/** Editors and version control keep things beside manifests that are none. */
function hidden(name: string, source: string): boolean {
  return name
    .slice(source.length)
    .split('/')
    .some((part) => part.startsWith('.') || part === 'node_modules');
}

async function textOf(file: string, stdin: () => Promise<string>): Promise<string> {
  if (file === '-') return stdin();
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
}

function unreadable(file: string, error: unknown): UsageError {
  const { code } = error as NodeJS.ErrnoException;
  return new UsageError(
    `${file}: ${code === 'ENOENT' ? 'there is no such file or folder' : `cannot be read (${code ?? String(error)})`}`,
  );
}

// kubectl reads YAML 1.1, in which `on` and `yes` are true; but to it dates are text, and 1:30 is no number.
const NOT_IN_KUBECTL = /:(timestamp|omap|set|binary)$/;

export function parseDocuments(text: string, file: string, source: number): SourceDocument[] {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    version: '1.1',
    merge: true,
    prettyErrors: false,
    customTags: (tags) =>
      tags.filter(
        (tag) =>
          typeof tag === 'string' || !(NOT_IN_KUBECTL.test(tag.tag) || ('format' in tag && tag.format === 'TIME')),
      ),
  });
  if (!Array.isArray(parsed)) return [];
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  return parsed.flatMap((document) => sourceDocuments(document, file, source, at));
}

function sourceDocuments(
  document: Document.Parsed,
  file: string,
  source: number,
  at: (offset: number) => Position,
): SourceDocument[] {
  // What follows the first error is mostly its consequence.
  const faults = document.errors
    .slice(0, 1)
    .map((error) => ({ at: at(error.pos[0]), message: firstLine(error.message) }));
  const locate = (path: Path): Position => at(offsetOf(document, path));
  if (faults.length > 0) return [{ file, source, value: undefined, faults, locate }];
  const value = tryToJs(document, at, faults);
  if (value === null || value === undefined) return faults.length > 0 ? [{ file, source, value, faults, locate }] : [];
  const items = itemsOf(value);
  if (!items) return [{ file, source, value, faults, locate }];
  return items.map((item, index) => ({
    file,
    source,
    value: item,
    faults: [],
    locate: (path: Path) => locate(['items', index, ...path]),
  }));
}

function tryToJs(
  document: Document.Parsed,
  at: (offset: number) => Position,
  faults: { at: Position; message: string }[],
): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    // Aliases that name nothing, or that multiply beyond all bounds.
    faults.push({ at: at(document.range[0]), message: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
}

/** Of a List, as `kubectl get -o yaml` writes it. */
function itemsOf(value: unknown): unknown[] | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('items' in value)) return undefined;
  return value.kind === 'List' && Array.isArray(value.items) ? (value.items as unknown[]) : undefined;
}

function offsetOf(document: Document.Parsed, path: Path): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? document.range[0];
  for (const segment of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && keyText(item.key) === String(segment));
      if (!pair) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof segment === 'number' && segment < node.items.length) {
      node = node.items[segment];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}
