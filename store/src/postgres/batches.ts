// Writes that come together share one statement, and so one round trip and one fsync. While one batch is on its way the
// next one gathers.
import type { Answer, Database } from './database.ts';
import { isStoreError } from './failures.ts';
import type { StatementName } from './statements.ts';

export interface BatchRow {
  /** One for each item. */
  verdicts: string[];
  /** What was touched, as `<topic>:<key>`. */
  hints: string[];
}

interface Item {
  /** By which a batch is sorted: one order of locks for everybody. Items of the same order keep theirs. */
  order: string;
  /** JSON, as the server takes it. */
  json: string;
  resolve: (verdict: string) => void;
  reject: (error: unknown) => void;
}

/** How much one batch takes, so that no caller waits for an endless one. */
const MOST_ITEMS = 500;
const MOST_CHARACTERS = 4_000_000;

/** Hands batches, as a JSON array, to a statement that answers with a {@link BatchRow}. */
export class Batches {
  readonly #db: Database;
  readonly #statement: StatementName;
  readonly #onAnswer: (answer: Answer<BatchRow>) => void;
  #queue: Item[] = [];
  #running = false;
  #drained: (() => void)[] = [];

  constructor(db: Database, statement: StatementName, onAnswer: (answer: Answer<BatchRow>) => void = () => undefined) {
    this.#db = db;
    this.#statement = statement;
    this.#onAnswer = onAnswer;
  }

  /** Resolves with the verdict once the write is safe on disk. */
  write(order: string, json: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ order, json, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      // After everything that the current turn still has to say.
      setImmediate(() => void this.#run());
    });
  }

  /** Resolves when everything that was asked is settled. */
  async drain(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) await this.#write(this.#take());
    this.#running = false;
    for (const drained of this.#drained.splice(0)) drained();
  }

  #take(): Item[] {
    let characters = 0;
    const beyond = this.#queue.findIndex(({ json }, index) => {
      characters += json.length;
      return index === MOST_ITEMS || (index > 0 && characters > MOST_CHARACTERS);
    });
    return this.#queue.splice(0, beyond < 0 ? this.#queue.length : beyond);
  }

  async #write(batch: Item[]): Promise<void> {
    const ordered = batch.toSorted((a, b) => (a.order === b.order ? 0 : a.order < b.order ? -1 : 1));
    try {
      const items = `[${ordered.map(({ json }) => json).join(',')}]`;
      const answer = await this.#db.write<BatchRow>(this.#statement, [items]);
      this.#onAnswer(answer);
      const verdicts = answer.rows[0]?.verdicts ?? [];
      for (const [index, item] of ordered.entries()) item.resolve(verdicts[index] ?? '');
    } catch (error) {
      if (batch.length === 1 || isStoreError(error)) for (const item of batch) item.reject(error);
      // One of them can't be written, and took the others with it.
      else for (const item of ordered) await this.#write([item]);
    }
  }
}

/** PostgreSQL's text can't hold NUL. */
export function plain(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}
