// Where a command reads from and writes to. Results go to standard output; whatever is said meanwhile to standard error, so
// that the result can be piped on.
import { Screen } from './screen.ts';
import type { Streams } from './streams.ts';

export class Terminal {
  readonly streams: Streams;
  /** People are there: what is said can be drawn anew, and questions can be asked. */
  readonly interactive: boolean;
  /** Whether lines of progress may be drawn over. */
  readonly redraws: boolean;
  /** Whether progress may be coloured. */
  readonly colour: boolean;
  readonly screen: Screen;
  /** What is to be written later. */
  #held: (() => void)[] | undefined;

  constructor(streams: Streams, env: Record<string, string | undefined>) {
    this.streams = streams;
    const { stdin, stderr } = streams;
    this.redraws = stderr.isTTY === true && env['TERM'] !== 'dumb' && env['CI'] === undefined;
    this.colour = this.redraws && (env['NO_COLOR'] ?? '') === '';
    this.interactive = stdin.isTTY === true && stderr.isTTY === true;
    this.screen = new Screen(stderr);
  }

  /** The result. */
  print(text: string): void {
    const { stdout } = this.streams;
    this.#say(() => void stdout.write(`${stdout.isTTY === true ? withoutControls(text) : text}\n`));
  }

  /** Said beside the result. */
  note(text: string): void {
    this.#say(() => void this.streams.stderr.write(`${withoutControls(text)}\n`));
  }

  /** Lets somebody ask: until that is over, nothing else is written. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.screen.clear();
    this.#held = [];
    try {
      return await work();
    } finally {
      const held = this.#held;
      this.#held = undefined;
      for (const write of held) write();
    }
  }

  draw(lines: readonly string[]): void {
    if (!this.#held) this.screen.draw(lines);
  }

  #say(write: () => void): void {
    if (this.#held) this.#held.push(write);
    else this.screen.above(write);
  }

  async readInput(): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.streams.stdin as AsyncIterable<Buffer | string>) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString('utf8');
  }
}

/** What models and files say must not steer the terminal. Colours that Kadre sets itself are kept. */
export function withoutControls(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\u001b(?!\[\d{1,2}m)|[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/g, '\ufffd');
}
