// Gateways side by side, in front of the same upstream. They take turns, and the turns go round, so that a slower moment of
// the machine meets all; whoever is not asked does nothing.
import { closeSync, openSync } from 'node:fs';
import { loadavg } from 'node:os';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { benchCache } from '../install.ts';
import { KADRE_LIMITED, startAll, type Contender } from './contenders.ts';
import type { Compared, Held, Order, Saturated, Target } from './load.ts';
import { cpuSeconds, nextMessage, residentMiB, start, stop } from './processes.ts';
import { gatewayReport } from './report.ts';
import { fitOf, type Holding, type Row, type Soak } from './rows.ts';

const ROUNDS = 3;
const COMPARED = { whole: 800, streamed: 400 };
/** Whatever is slow is asked less often. */
const COMPARED_MS = 3000;
const WARM_UP_MS = 2000;
const SATURATED_MS = 3000;
const WIDTH = 32;
const STREAMS = [128, 512, 1024] as const;
/** Of a soak, in which memory finds its level. */
const FIRST_SHARE = 1 / 3;

interface GatewayOptions {
  /** How long memory is watched under load. */
  soakMinutes: number;
}

export async function gateways({ soakMinutes }: GatewayOptions): Promise<string> {
  const [busy = 0] = loadavg();
  await mkdir(benchCache, { recursive: true });
  const log = openSync(join(benchCache, 'gateways.log'), 'w');
  const helper = (name: string) =>
    start({ command: process.execPath, args: [join(import.meta.dirname, name)], place: 'others', log, ipc: true });
  const upstream = helper('upstream.ts');
  const base = `http://127.0.0.1:${await nextMessage<number>(upstream)}/v1`;
  const load = helper('load.ts');
  const { present, absent } = await startAll(base);
  try {
    const direct: Target = { url: `${base}/chat/completions`, headers: {} };
    const bench = new Bench(load, direct);
    await bench.ask({ do: 'saturate', through: direct, width: WIDTH, ms: WARM_UP_MS, streamed: false });
    const rows = present.map(rowOf);
    for (let round = 1; round <= ROUNDS; round++) {
      await bench.floor();
      for (const row of rows) await inTurn(`Round ${round} of ${ROUNDS}`, row, () => bench.round(row, round === 1));
    }
    for (const row of rows) await inTurn('Streams', row, () => bench.streams(row));
    const floor = { rates: bench.rates, held: await bench.directStreams() };
    const subject = rows.find(({ name }) => name === KADRE_LIMITED);
    const soak = subject && (await inTurn('Soak', subject, () => bench.soak(subject, soakMinutes)));
    return gatewayReport({ rows, absent, floor, soak, busy });
  } finally {
    await Promise.all([...present.map(({ child }) => child), load, upstream].map(stop));
    closeSync(log);
  }
}

const rowOf = (contender: Contender): Row => ({
  ...contender,
  added: [],
  addedFirst: [],
  rates: [],
  cpuMicros: [],
  failures: [],
  holdings: [],
});

/** What fails is told in its row. */
async function inTurn<T>(what: string, { name, failures }: Row, turn: () => Promise<T>): Promise<T | undefined> {
  const started = performance.now();
  try {
    return await turn();
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
    return undefined;
  } finally {
    console.error(`${what}: ${name}, ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}

class Bench {
  readonly #load;
  readonly #direct: Target;
  /** Requests a second without a gateway. */
  readonly rates: number[] = [];

  constructor(load: ReturnType<typeof start>, direct: Target) {
    this.#load = load;
    this.#direct = direct;
  }

  ask(order: Order & { do: 'compare' }): Promise<Compared>;
  ask(order: Order & { do: 'saturate' }): Promise<Saturated>;
  ask(order: Order & { do: 'hold' }): Promise<Held>;
  ask(order: Order): Promise<Compared | Saturated | Held> {
    const answer = nextMessage<Compared | Saturated | Held>(this.#load);
    this.#load.send(order);
    return answer;
  }

  async floor(): Promise<void> {
    const { requests, seconds } = await this.#saturate(this.#direct, WARM_UP_MS);
    this.rates.push(requests / seconds);
  }

  async round(row: Row, cold: boolean): Promise<void> {
    const { target: through } = row;
    if (cold) await this.#saturate(through, WARM_UP_MS);
    if (cold) await this.ask({ do: 'saturate', through, width: WIDTH, ms: WARM_UP_MS, streamed: true });
    const compared = { do: 'compare', through, direct: this.#direct, ms: COMPARED_MS } as const;
    row.added.push(await this.ask({ ...compared, count: COMPARED.whole, streamed: false }));
    row.addedFirst.push(await this.ask({ ...compared, count: COMPARED.streamed, streamed: true }));
    const before = cpuSeconds(pidOf(row));
    const { requests, failed, seconds } = await this.#saturate(through, SATURATED_MS);
    if (failed > 0) row.failures.push(`${failed} of ${requests} requests at once failed`);
    row.rates.push((requests - failed) / seconds);
    row.cpuMicros.push(((cpuSeconds(pidOf(row)) - before) * 1e6) / requests);
  }

  async streams(row: Row): Promise<void> {
    for (const streams of STREAMS) {
      const [memory, cpu] = [residentMiB(pidOf(row)), cpuSeconds(pidOf(row))];
      const held = await this.ask({ do: 'hold', through: row.target, streams });
      const used = cpuSeconds(pidOf(row)) - cpu;
      row.holdings.push({ ...held, streams, cpuSeconds: used, memory: [memory, residentMiB(pidOf(row))] });
      // Whoever loses half of them would with more.
      if (held.held < streams / 2) break;
    }
  }

  async directStreams(): Promise<Holding[]> {
    const holdings: Holding[] = [];
    for (const streams of STREAMS) {
      const held = await this.ask({ do: 'hold', through: this.#direct, streams });
      holdings.push({ ...held, streams, cpuSeconds: 0, memory: [0, 0] });
    }
    return holdings;
  }

  /** Load of both kinds, and how memory moves under it once it has found its level. */
  async soak(row: Row, minutes: number): Promise<Soak> {
    const samples: { minute: number; mebibytes: number }[] = [];
    const started = performance.now();
    let requests = 0;
    for (let minute = 0; minute < minutes; minute = (performance.now() - started) / 60_000) {
      const streamed = samples.length % 2 === 1;
      const done = await this.ask({ do: 'saturate', through: row.target, width: WIDTH, ms: 1000, streamed });
      requests += done.requests;
      samples.push({ minute: (performance.now() - started) / 60_000, mebibytes: residentMiB(pidOf(row)) });
    }
    const level = samples.filter(({ minute }) => minute >= minutes * FIRST_SHARE);
    return { name: row.name, minutes, requests, ...fitOf(level) };
  }

  #saturate(through: Target, ms: number): Promise<Saturated> {
    return this.ask({ do: 'saturate', through, width: WIDTH, ms, streamed: false });
  }
}

function pidOf({ name, child: { pid } }: Row): number {
  if (pid === undefined) throw new Error(`${name} has ended`);
  return pid;
}
