// A few lines at the bottom of a terminal that are drawn over and over.
import type { Streams } from './streams.ts';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_BELOW = '\u001b[J';

export class Screen {
  readonly #out: Streams['stderr'];
  #drawn: string[] = [];

  constructor(out: Streams['stderr']) {
    this.#out = out;
  }

  /** Lines and columns that there is room for. */
  get size(): { rows: number; columns: number } {
    // Terminals without a size say 0.
    const { rows = 0, columns = 0 } = this.#out;
    return { rows: rows > 0 ? rows : 24, columns: columns > 0 ? columns : 80 };
  }

  draw(lines: readonly string[]): void {
    const { columns } = this.size;
    const fitting = lines.map((line) => cut(line, columns - 1));
    if (fitting.join('\n') === this.#drawn.join('\n')) return;
    this.#out.write(`${this.#home()}${HIDE_CURSOR}${fitting.map((line) => `${line}\n`).join('')}`);
    this.#drawn = fitting;
  }

  /** Takes the lines away, writes, and puts them back below. */
  above(write: () => void): void {
    const lines = this.#drawn;
    this.clear();
    write();
    if (lines.length > 0) this.draw(lines);
  }

  clear(): void {
    if (this.#drawn.length === 0) return;
    this.#out.write(`${this.#home()}${SHOW_CURSOR}`);
    this.#drawn = [];
  }

  /** Leaves the lines where they are, for good. */
  release(): void {
    if (this.#drawn.length > 0) this.#out.write(SHOW_CURSOR);
    this.#drawn = [];
  }

  #home(): string {
    return this.#drawn.length === 0 ? '' : `\u001b[${this.#drawn.length}A\r${CLEAR_BELOW}`;
  }
}

// eslint-disable-next-line no-control-regex
const PIECE = /\u001b\[\d{1,2}m|./gsu;

/** Cuts a line at so many columns; what only sets a colour takes none. */
export function cut(line: string, columns: number): string {
  let width = 0;
  let kept = '';
  for (const [piece] of line.replaceAll('\n', ' ').matchAll(PIECE)) {
    if (!piece.startsWith('\u001b')) {
      width += widthOf(piece);
      if (width > columns - 1) return `${kept}…\u001b[39m\u001b[22m`;
    }
    kept += piece;
  }
  return kept;
}

/** Of one character: those of East Asian scripts and pictures are two columns wide. */
function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  return code >= 0x1100 &&
    (code <= 0x115f ||
      (code >= 0x2e80 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      code >= 0x1f300)
    ? 2
    : 1;
}
