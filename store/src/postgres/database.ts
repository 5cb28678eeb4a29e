// Statements on a pool of connections. A broken connection is made anew, and what was asked is asked again: reads
// always, and writes too, because each of them is one statement that may be carried out twice without harm.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { escapeIdentifier, Pool, types, type ClientBase, type PoolClient, type PoolConfig } from 'pg';
import { StoreClosedError } from '../errors.ts';
import { isAnswer, isReadOnly, kindOf, storeError } from './failures.ts';
import { migrate } from './migrate.ts';
import type { Settings } from './settings.ts';
import { statements, type StatementName } from './statements.ts';

export type Value = string | number | boolean | null | Uint8Array;

export interface Answer<Row> {
  rows: Row[];
  /** Rows that were changed or found. */
  count: number;
  /** An earlier attempt broke off: it may have done the same already. */
  unsure: boolean;
}

type Work<T> = (client: ClientBase, unsure: boolean) => Promise<T>;
type Attempt<T> = { done: T } | { error: unknown; sent: boolean };

const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1000;
const CONNECT_TIMEOUT = 10_000;
const INT8 = 20;
const READS = false;
const WRITES = true;

export class Database {
  readonly #settings: Settings;
  readonly #pool: Pool;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #name = randomUUID();
  #calls = 0;
  #closed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#pool = new Pool(poolConfig(settings));
    // Connections that break while nobody uses them: the next caller gets another one.
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Brings the schema up to date. */
  async prepare(): Promise<void> {
    await this.#track((client) => migrate(client, this.#settings.schema), WRITES);
  }

  /** The number of a call, by which it recognises what it has written. Never given before, by anybody. */
  nextCall(): string {
    return `${this.#name} ${++this.#calls}`;
  }

  async read<Row extends object>(name: StatementName, values: Value[] = []): Promise<Row[]> {
    const { rows } = await this.#track((client) => query<Row>(client, name, values, false), READS);
    return rows;
  }

  /** A statement whose text depends on what the server has. */
  async readAs<Row extends object>(name: string, text: string, values: Value[]): Promise<Row[]> {
    const work = (client: ClientBase): Promise<{ rows: Row[] }> => client.query<Row>({ name, text, values });
    return (await this.#track(work, READS)).rows;
  }

  write<Row extends object>(name: StatementName, values: Value[] = []): Promise<Answer<Row>> {
    return this.#track((client, unsure) => query<Row>(client, name, values, unsure), WRITES);
  }

  /** Takes no more calls; resolves when those taken are settled. They are not tried again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#pending);
    await this.#pool.end();
  }

  #track<T>(work: Work<T>, writes: boolean): Promise<T> {
    if (this.#closed) return Promise.reject(new StoreClosedError('the store is closed'));
    const persisting = this.#persist(work, writes).finally(() => this.#pending.delete(persisting));
    this.#pending.add(persisting);
    return persisting;
  }

  async #persist<T>(work: Work<T>, writes: boolean): Promise<T> {
    const deadline = performance.now() + this.#settings.patience;
    for (let pause = FIRST_PAUSE, unsure = false; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const attempt: Attempt<T> = await this.#attempt(work, unsure);
      if ('done' in attempt) return attempt.done;
      const { error, sent }: { error: unknown; sent: boolean } = attempt;
      // Whoever only reads has nothing to be unsure of.
      unsure ||= writes && sent && !isAnswer(error) && kindOf(error) === 'away';
      if (kindOf(error) === 'final' || this.#closed || performance.now() > deadline) {
        throw storeError(error, this.#settings, unsure);
      }
      await delay(pause);
    }
  }

  async #attempt<T>(work: Work<T>, unsure: boolean): Promise<Attempt<T>> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      return { error, sent: false };
    }
    try {
      const done = await work(client, unsure);
      client.release();
      return { done };
    } catch (error) {
      client.release(!isAnswer(error) || isReadOnly(error));
      return { error, sent: true };
    }
  }
}

async function query<Row extends object>(
  client: ClientBase,
  name: StatementName,
  values: Value[],
  unsure: boolean,
): Promise<Answer<Row>> {
  const prepared = { name, text: statements[name], values: values.map(withoutNul) };
  const { rows, rowCount } = await client.query<Row>(prepared);
  return { rows, count: rowCount ?? 0, unsure };
}

function poolConfig({ driver, schema, statementTimeout }: Settings): PoolConfig {
  return {
    ...driver,
    application_name: 'kadre',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    // A server that vanished without a word is noticed by its silence.
    query_timeout: 1.5 * statementTimeout,
    idleTimeoutMillis: 60_000,
    allowExitOnIdle: true,
    types: { getTypeParser: parserOf },
    verify: (client, done) => {
      const ready = client.query(`
        SET search_path TO ${escapeIdentifier(schema)};
        SET statement_timeout TO ${statementTimeout};
        SET lock_timeout TO ${statementTimeout};
        SET default_transaction_isolation TO 'read committed';
        SET jit TO off;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`);
      ready.then(() => {
        done();
      }, done);
    },
  };
}

/** The driver gives 64-bit integers as text. Ours fit into numbers. */
const parserOf: typeof types.getTypeParser = (type, format) =>
  (type as number) === INT8 ? Number : (types.getTypeParser(type, format) as unknown);

/** PostgreSQL's text can't hold NUL. JSON never has one: it spells it \\u0000. */
function withoutNul(value: Value): Value {
  return typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value;
}
