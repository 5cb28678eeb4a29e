// Server-sent events from bytes, however those are torn apart on the way.

export interface ServerSentEvent {
  /** Empty if the event has no name. */
  name: string;
  data: string;
}

export class EventStreamParser {
  // Strips a byte order mark, and keeps characters that are torn apart until they are whole.
  readonly #decoder = new TextDecoder();
  /** Pieces of a line whose end is not there yet. */
  #pending: string[] = [];
  #afterReturn = false;
  #name = '';
  #data: string | undefined;

  /** The events that end in these bytes. */
  push(bytes: Uint8Array): ServerSentEvent[] {
    return this.#read(this.#decoder.decode(bytes, { stream: true }));
  }

  /** At the end. A line that was never finished is worth nothing, but a whole one may lack the empty line after it. */
  end(): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    this.#dispatch(events);
    return events;
  }

  #read(decoded: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    const text = this.#withPlainLines(decoded);
    let start = 0;
    for (;;) {
      const end = text.indexOf('\n', start);
      if (end < 0) break;
      this.#line(this.#wholeLine(text.slice(start, end)), events);
      start = end + 1;
    }
    if (start < text.length) this.#pending.push(text.slice(start));
    return events;
  }

  /** CR LF and CR end lines as well; a CR at the end counts at once, and an LF that still follows it does not. */
  #withPlainLines(decoded: string): string {
    let text = decoded;
    if (this.#afterReturn && text !== '') {
      this.#afterReturn = false;
      if (text.startsWith('\n')) text = text.slice(1);
    }
    if (!text.includes('\r')) return text;
    this.#afterReturn = text.endsWith('\r');
    return text.replaceAll(/\r\n?/g, '\n');
  }

  #wholeLine(tail: string): string {
    if (this.#pending.length === 0) return tail;
    this.#pending.push(tail);
    const line = this.#pending.join('');
    this.#pending = [];
    return line;
  }

  #line(line: string, events: ServerSentEvent[]): void {
    if (line === '') {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== 'data' && field !== 'event') return;
    const value = colon < 0 ? '' : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
    if (field === 'event') this.#name = value;
    else this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
  }

  #dispatch(events: ServerSentEvent[]): void {
    if (this.#data !== undefined) events.push({ name: this.#name, data: this.#data });
    this.#name = '';
    this.#data = undefined;
  }
}
