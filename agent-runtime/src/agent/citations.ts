// What a task has read of Knowledge: each passage has one number in the whole task, however often it is found, and the same one
// when the task is begun anew, for numbers go by the order of the calls.
import type { Citation, ToolResult } from '@kadre/crds';

/** More are read, and have numbers, but are not told. */
const MOST_TOLD = 256;

export class Citations {
  readonly #read = new Map<string, Citation>();

  /** The result with the numbers of the task instead of its own. */
  numbered(result: ToolResult): ToolResult {
    const { citations = [], cited = [], content } = result;
    if (cited.length > 0) return this.#renumbered(result, cited);
    if (citations.length === 0) return result;
    const first = content.length - citations.length;
    return {
      ...result,
      content: content.map((part, index) => {
        const cited = citations[index - first];
        if (!cited || part.type !== 'text') return part;
        const own = `[${cited.id}]`;
        const id = this.#numberOf(cited);
        return part.text.startsWith(own) ? { ...part, text: `[${id}]${part.text.slice(own.length)}` } : part;
      }),
    };
  }

  /** Those that the answer marks, such as [2] or [1, 3]; if it marks none, all that were read. */
  of(output: unknown): Citation[] {
    if (output === undefined || output === null || output === '') return [];
    const all = [...this.#read.values()];
    const marked = new Set([...textsOf(output)].flatMap((text) => marksIn(text).flatMap(({ ids }) => ids)));
    const used = all.filter(({ id }) => marked.has(id));
    return (used.length > 0 ? used : all).slice(0, MOST_TOLD);
  }

  /** What another agent has read is read for this task, too. */
  #renumbered(result: ToolResult, cited: readonly Citation[]): ToolResult {
    const numbers = new Map(cited.map((one) => [one.id, this.#numberOf(one)]));
    const { content, structured } = mapTexts({ content: result.content, structured: result.structured }, (text) =>
      text.replace(MARK, (mark) => mark.replace(/\d+/g, (id) => numbers.get(id) ?? id)),
    );
    return { ...result, content, ...(structured !== undefined && { structured }) };
  }

  #numberOf({ source, url, title, passage, ...rest }: Citation): string {
    const key = JSON.stringify([source, url, title, passage]);
    const known = this.#read.get(key) ?? { ...rest, source, title, url, passage, id: String(this.#read.size + 1) };
    this.#read.set(key, known);
    return known.id;
  }
}

/** Where a text refers to a citation, as the wires of OpenAI say it. */
export interface Annotation {
  start_index: number;
  end_index: number;
  url: string;
  title: string;
}

/** One for each mark; a citation that is not marked stands at the end. `before`: how many characters come before the text. */
export function annotationsOf(text: string, citations: readonly Citation[], before = 0): Annotation[] {
  const shape = ({ url = '', title = '' }: Citation, start: number, end: number): Annotation => ({
    start_index: before + start,
    end_index: before + end,
    url,
    title,
  });
  const marks = marksIn(text);
  const placed = marks.flatMap(({ ids, start, end }) =>
    citations.filter(({ id }) => ids.includes(id)).map((one) => shape(one, start, end)),
  );
  return placed.length > 0 ? placed : citations.map((one) => shape(one, text.length, text.length));
}

const MARK = /\[(\d{1,5}(?:[,;] ?\d{1,5}){0,15})\]/g;

const marksIn = (text: string): { ids: string[]; start: number; end: number }[] =>
  [...text.matchAll(MARK)].map(({ 0: whole, 1: inner = '', index }) => ({
    ids: inner.split(/[,;] ?/),
    start: index,
    end: index + whole.length,
  }));

/** Images and types hold no marks: the whole of a result can be walked. */
function mapTexts<T>(value: T, map: (text: string) => string): T {
  if (typeof value === 'string') return map(value) as T;
  if (Array.isArray(value)) return value.map((inner: unknown) => mapTexts(inner, map)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, mapTexts<unknown>(inner, map)])) as T;
}

function* textsOf(value: unknown): Generator<string, void> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* textsOf(inner);
}
