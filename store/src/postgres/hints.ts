// Hints travel by NOTIFY on a connection of their own: after the commit and not in it, because a commit with a
// notification holds a lock that puts all others behind it. Those of one moment share a message.
import { createHash, randomUUID } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';
import { Listeners, type Hint } from '../listeners.ts';
import type { Topic } from '../store.ts';
import type { Settings } from './settings.ts';

/** The server takes less than 8000 bytes. */
const LARGEST_MESSAGE = 7500;
/** Beyond that, all that is told is that something happened. */
const LONGEST_KEY = 1000;
const MOST_WAITING = 10_000;
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 5000;
const HEARTBEAT = 30_000;
const PATIENCE = 10_000;

export class Hints {
  readonly #settings: Settings;
  readonly #listeners = new Listeners();
  /** So that what this store told its own listeners already isn't told again. */
  readonly #sender = randomUUID();
  readonly #channel: string;
  readonly #waiting = new Map<string, Hint>();
  #client: Client | undefined;
  #sending: Promise<void> | undefined;
  #pause = FIRST_PAUSE;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    // A channel is the database's, and its name must be short.
    this.#channel = `kadre_${createHash('sha256').update(settings.schema).digest('hex').slice(0, 32)}`;
  }

  /** Resolves once changes are heard, or the first attempt failed. Others follow for as long as it takes. */
  async open(): Promise<void> {
    const client = this.#newClient();
    try {
      await client.connect();
      await client.query(`LISTEN ${escapeIdentifier(this.#channel)}`);
    } catch {
      this.#discard(client);
      this.#later(() => this.#reopen(), this.#pause);
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
      return;
    }
    if (this.#closed) {
      this.#discard(client);
      return;
    }
    // Listening alone is no reason to keep a process alive.
    (client as Client & { unref: () => void }).unref();
    this.#client = client;
    this.#pause = FIRST_PAUSE;
    this.#later(() => this.#beat(client), HEARTBEAT);
    this.#send();
  }

  publish(hints: Hint[]): void {
    if (hints.length === 0 || this.#closed) return;
    queueMicrotask(() => this.#listeners.deliver(hints));
    for (const hint of hints) this.#wait(hint);
    this.#send();
  }

  subscribe(topic: Topic, listener: (key: string) => void): () => void {
    return this.#listeners.subscribe(topic, listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
    await this.#sending;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #newClient(): Client {
    const { driver } = this.#settings;
    const limits = { connectionTimeoutMillis: PATIENCE, query_timeout: PATIENCE };
    const client = new Client({ ...driver, ...limits, application_name: 'kadre-hints', keepAlive: true });
    // What follows an error is the end.
    client.on('error', () => undefined);
    client.on('end', () => this.#lost(client));
    client.on('notification', ({ payload }) => this.#hear(payload ?? ''));
    return client;
  }

  #hear(message: string): void {
    const { from, hints } = JSON.parse(message) as { from: string; hints: Hint[] };
    if (from !== this.#sender) this.#listeners.deliver(hints);
  }

  #wait([topic, key]: Hint): void {
    const known = this.#waiting.size < MOST_WAITING && key.length <= LONGEST_KEY;
    this.#waiting.set(`${topic} ${known ? key : ''}`, [topic, known ? key : '']);
  }

  /** One message after the other: what comes meanwhile shares the next. */
  #send(): void {
    const client = this.#client;
    if (this.#sending || !client || this.#waiting.size === 0) return;
    const taken = this.#take();
    const message = JSON.stringify({ from: this.#sender, hints: taken });
    this.#sending = client
      .query('SELECT pg_notify($1, $2)', [this.#channel, message])
      .then(
        () => undefined,
        () => {
          for (const hint of taken) this.#wait(hint);
          this.#lost(client);
        },
      )
      .then(() => {
        this.#sending = undefined;
        this.#send();
      });
  }

  #take(): Hint[] {
    const taken: Hint[] = [];
    let bytes = 0;
    for (const [id, hint] of this.#waiting) {
      bytes += Buffer.byteLength(JSON.stringify(hint)) + 1;
      if (taken.length > 0 && bytes > LARGEST_MESSAGE) break;
      taken.push(hint);
      this.#waiting.delete(id);
    }
    return taken;
  }

  /** A server that vanished without a word is noticed by its silence. */
  #beat(client: Client): void {
    client.query('SELECT 1').then(
      () => {
        if (this.#client === client) this.#later(() => this.#beat(client), HEARTBEAT);
      },
      () => this.#lost(client),
    );
  }

  #lost(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#discard(client);
    if (!this.#closed) this.#later(() => this.#reopen(), 0);
  }

  #reopen(): void {
    void this.open().then(() => {
      // Whatever was told meanwhile was not heard here.
      if (this.#client) this.#listeners.alarm();
    });
  }

  #discard(client: Client): void {
    client.end().catch(() => undefined);
  }

  #later(work: () => void, after: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(work, after).unref();
  }
}
