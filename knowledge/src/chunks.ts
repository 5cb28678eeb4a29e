// Cuts a text into passages: at headings first, then between paragraphs, lines, sentences and words, and only then anywhere.
export interface Chunking {
  /** Of a passage, at most. */
  characters: number;
  /** Of the end of a passage that the next one of the same section begins with, at most. */
  overlap: number;
}

export interface Passage {
  /** The headings that it stands under, the outermost first. */
  headings: string[];
  text: string;
}

interface Section {
  headings: string[];
  text: string;
}

/** All of the text is in them, but for headings, and for blanks where it was cut. */
export function passagesOf(text: string, chunking: Chunking, hasHeadings: boolean): Passage[] {
  const sections = hasHeadings ? sectionsOf(text) : [{ headings: [], text }];
  return sections.flatMap(({ headings, text: body }) =>
    cut(body, chunking).map((piece) => ({ headings, text: piece })),
  );
}

const HEADING = /^(#{1,6}) +(.*?)(?: +#+)?$/;
const FENCE = /^ {0,3}(```|~~~)/;
const MOST_HEADING = 120;

function sectionsOf(text: string): Section[] {
  const sections: Section[] = [];
  const levels: (string | undefined)[] = [];
  let lines: string[] = [];
  let fence: string | undefined;
  const end = (): void => {
    const body = lines.join('\n').trim();
    if (body !== '')
      sections.push({ headings: levels.filter((one) => one !== undefined).filter((one) => one !== ''), text: body });
    lines = [];
  };
  for (const line of text.split('\n')) {
    const mark = FENCE.exec(line)?.[1];
    if (mark !== undefined && (fence === undefined || fence === mark)) fence = fence === undefined ? mark : undefined;
    const [, marks, title] = (fence === undefined && HEADING.exec(line)) || [];
    if (marks === undefined) {
      lines.push(line);
      continue;
    }
    end();
    levels.length = Math.min(levels.length, marks.length - 1);
    levels[marks.length - 1] = (title ?? '').slice(0, MOST_HEADING).toWellFormed();
  }
  end();
  // A document of headings alone says something as well.
  return sections.length > 0 || text.trim() === '' ? sections : [{ headings: [], text: text.trim() }];
}

function cut(text: string, { characters, overlap }: Chunking): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = endOf(text, at, characters);
    const piece = text.slice(at, end).trim();
    if (piece !== '') pieces.push(piece);
    if (end >= text.length) break;
    at = beginOf(text, at, end, overlap);
  }
  return pieces;
}

const BREAKS = [/\n\s*\n/g, /\n/g, /[.!?…。！？]["')\]]*\s/g, /\s/g];

/** The last good place to end in the second half of what fits. */
function endOf(text: string, at: number, most: number): number {
  if (text.length - at <= most) return text.length;
  const room = text.slice(at, at + most);
  for (const pattern of BREAKS) {
    let last = -1;
    for (const match of room.matchAll(pattern)) last = match.index + match[0].length;
    if (last > most / 2) return at + last;
  }
  return wholeCharacters(text, at + most);
}

/** Where the next passage begins: some words back, and always further than the last one. */
function beginOf(text: string, at: number, end: number, overlap: number): number {
  if (overlap === 0) return end;
  const from = Math.max(end - overlap, at + 1);
  const blank = text.slice(from, end).search(/\s/);
  if (blank < 0) return end;
  return from + blank + 1;
}

/** The position, or the one before it where it would split a surrogate pair. */
function wholeCharacters(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff ? position - 1 : position;
}
