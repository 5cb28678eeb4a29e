// What the loop of an agent costs, and how many agents a node has room for: beside an agent of another framework, in front
// of the same upstream, whose model takes no time. They take turns.
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSeconds, nextMessage, start, stop } from '../gateway/processes.ts';
import { benchCache, type Absent } from '../install.ts';
import { grid, machine, median } from '../report.ts';
import { contenders, KADRE, type Contender, type Started } from './contenders.ts';
import { TURNS } from './upstream.ts';

const ROUNDS = 5;
const TASKS = 40;
const WARM_UP_TASKS = 60;
/** At once, for memory. */
const AGENTS = 8;
const TASKS_EACH = 10;
const SETTLE_MS = 5000;
const MIB_PER_GIB = 1024;

interface Row {
  name: string;
  /** Milliseconds a turn, for each round. */
  turns: number[];
  /** Microseconds of processor time a turn, for each round. */
  cpu: number[];
  /** MiB of one agent. */
  idle: number;
  used: number;
}

export async function agents(): Promise<string> {
  const [busy = 0] = loadavg();
  await mkdir(benchCache, { recursive: true });
  const log = openSync(join(benchCache, 'agents.log'), 'w');
  const args = [join(import.meta.dirname, 'upstream.ts')];
  const upstream = start({ command: process.execPath, args, place: 'others', log, ipc: true });
  try {
    const url = `http://127.0.0.1:${await nextMessage<number>(upstream)}`;
    const { present, absent } = await contenders(url);
    const rows: Row[] = present.map(({ name }) => ({ name, turns: [], cpu: [], idle: 0, used: 0 }));
    const floor: number[] = [];
    await loops(present, rows, floor, url);
    for (const [index, contender] of present.entries()) Object.assign(rows[index] ?? {}, await memory(contender));
    return report(rows, absent, floor, busy);
  } finally {
    await stop(upstream);
    closeSync(log);
  }
}

async function loops(present: Contender[], rows: Row[], floor: number[], upstream: string): Promise<void> {
  const running = await Promise.all(present.map((contender) => contender.start('gateway')));
  try {
    for (const { url } of running) await times(WARM_UP_TASKS, () => task(url));
    await times(WARM_UP_TASKS, () => bare(upstream));
    for (let round = 1; round <= ROUNDS; round += 1) {
      floor.push(median(await times(TASKS, () => bare(upstream))) / TURNS);
      for (const [index, { url, child }] of running.entries()) {
        const before = cpuSeconds(pidOf(child));
        rows[index]?.turns.push(median(await times(TASKS, () => task(url))) / TURNS);
        rows[index]?.cpu.push(((cpuSeconds(pidOf(child)) - before) * 1e6) / (TASKS * TURNS));
      }
      console.error(`Round ${round} of ${ROUNDS} of the loop`);
    }
  } finally {
    await Promise.all(running.map(({ child }) => stop(child)));
  }
}

/** Milliseconds of each, one after the other. */
async function times(count: number, work: () => Promise<void>): Promise<number[]> {
  const all: number[] = [];
  for (let done = 0; done < count; done += 1) {
    const began = performance.now();
    await work();
    all.push(performance.now() - began);
  }
  return all;
}

async function task(url: string): Promise<void> {
  const { output } = (await ask(`${url}/generate`, { prompt: 'Count.' })) as { output?: unknown };
  if (output !== 'Done.') throw new Error(`the agent answered ${JSON.stringify(output)}`);
}

/** The same requests for the model, without an agent. */
async function bare(upstream: string): Promise<void> {
  const messages: unknown[] = [{ role: 'user', content: 'Count.' }];
  for (let turn = 1; turn <= TURNS; turn += 1) {
    const answer = (await ask(`${upstream}/v1/chat/completions`, { model: 'm', messages })) as {
      choices: { message: { tool_calls?: { id: string }[] } }[];
    };
    const message = answer.choices[0]?.message;
    messages.push(message, { role: 'tool', tool_call_id: message?.tool_calls?.[0]?.id, content: '2' });
  }
}

async function ask(url: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).slice(0, 200)}`);
  return response.json();
}

/** Several at once: what they share of programs and libraries counts in parts. */
async function memory(contender: Contender): Promise<Pick<Row, 'idle' | 'used'>> {
  const running: Started[] = [];
  try {
    while (running.length < AGENTS) running.push(await contender.start('others'));
    await delay(SETTLE_MS);
    const idle = meanMiB(running);
    for (const { url } of running) await times(TASKS_EACH, () => task(url));
    await delay(SETTLE_MS);
    console.error(`Memory: ${contender.name}`);
    return { idle, used: meanMiB(running) };
  } finally {
    await Promise.all(running.map(({ child }) => stop(child)));
  }
}

const meanMiB = (running: Started[]): number =>
  running.reduce((sum, { child }) => sum + proportionalMiB(pidOf(child)), 0) / running.length;

function proportionalMiB(pid: number): number {
  const [, kilobytes] = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('an agent has ended');
  return pid;
}

function report(rows: Row[], absent: Absent[], floor: number[], busy: number): string {
  const kadre = rows.find(({ name }) => name === KADRE);
  const range = (values: number[], digits: number): string =>
    `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
  const beside = (row: Row, of: (one: Row) => number): string =>
    kadre === undefined || row === kadre ? '' : `, ${(of(row) / of(kadre)).toPrecision(2)} ×`;
  const head = ['Agent', 'a turn', 'CPU a turn', 'memory, idle', `after ${TASKS_EACH} tasks`, 'agents per GiB'];
  const perGiB = ({ used }: Row): number => MIB_PER_GIB / used;
  const body = rows.map((row) => [
    row.name,
    `${range(row.turns, 2)} ms${beside(row, ({ turns }) => median(turns))}`,
    `${range(row.cpu, 0)} µs${beside(row, ({ cpu }) => median(cpu))}`,
    `${row.idle.toFixed(0)} MiB`,
    `${row.used.toFixed(0)} MiB`,
    `${Math.floor(perGiB(row))}${beside(row, perGiB)}`,
  ]);
  const missing = absent.map(({ name }) => [name, ...head.slice(1).map(() => 'not here')]);
  return [
    grid([head, ...body, ...missing]),
    ...absent.map(({ name, why }) => `${name} is not here: ${why}.`),
    `The requests alone, without an agent: ${range(floor, 2)} ms a turn. Median (least–most) of ${ROUNDS} rounds of ${TASKS} tasks of ${TURNS} turns; × is beside ${KADRE}. ${machine(busy)}`,
  ].join('\n\n');
}
