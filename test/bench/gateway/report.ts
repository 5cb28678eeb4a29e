import type { Absent } from '../install.ts';
import { grid, machine, median, quantile } from '../report.ts';
import { CHUNKS } from './answers.ts';
import { KADRE } from './contenders.ts';
import type { Compared } from './load.ts';
import { pinned } from './processes.ts';
import type { Holding, Row, Soak } from './rows.ts';

export interface Measured {
  rows: Row[];
  absent: Absent[];
  /** Without a gateway. */
  floor: { rates: number[]; held: Holding[] };
  soak: Soak | undefined;
  busy: number;
}

/** In Markdown. */
export function gatewayReport({ rows, absent, floor, soak, busy }: Measured): string {
  const kadre = rows.find(({ name }) => name === KADRE);
  const remarks = [
    ...absent.map(({ name, why }) => `${name} is not here: ${why}.`),
    ...rows.flatMap(({ name, failures }) => [...new Set(failures)].map((why) => `${name}: ${why}.`)),
  ];
  const where = pinned ? '' : ' The gateways could not be held to one core.';
  return [
    speed(rows, absent, kadre),
    streams(rows, absent, floor.held),
    ...(soak ? [told(soak)] : []),
    ...remarks,
    `Without a gateway: ${range(floor.rates, 0)} requests/s. Median (least–most) of three rounds; × is beside ${KADRE}.${where} ${machine(busy)}`,
  ].join('\n\n');
}

function speed(rows: Row[], absent: Absent[], kadre: Row | undefined): string {
  const head = [
    'Gateway',
    'added, P50',
    'added, P99',
    'first token, P50',
    'first token, P99',
    'requests/s on a core',
    'CPU a request',
  ];
  const body = rows.map((row) => [
    row.name,
    ...[row.added, row.addedFirst].flatMap((all) => [addedAt(all, 0.5), addedAt(all, 0.99)]),
    `${range(row.rates, 0)}${beside(row.rates, row === kadre ? undefined : kadre?.rates)}`,
    row.cpuMicros.length === 0
      ? 'failed'
      : `${range(row.cpuMicros, 0)} µs${beside(row.cpuMicros, row === kadre ? undefined : kadre?.cpuMicros)}`,
  ]);
  return grid([head, ...body, ...notHere(absent, head)]);
}

/** The quantile through the gateway, less that without one. */
function addedAt(rounds: Compared[], share: number): string {
  const values = rounds.map(({ through, direct }) => quantile(through, share) - quantile(direct, share));
  return values.length === 0 ? 'failed' : `${range(values, 2)} ms`;
}

function streams(rows: Row[], absent: Absent[], floor: Holding[]): string {
  const widths = floor.map(({ streams: count }) => `${count.toLocaleString('en')} streams`);
  const head = ['Gateway', ...widths, 'CPU a chunk', 'memory'];
  const body = rows.map(({ name, holdings }) => [
    name,
    ...floor.map((_, level) => heldOf(holdings[level])),
    `${cpuOfChunk(holdings).toFixed(0)} µs`,
    [holdings[0]?.memory[0], holdings.at(-1)?.memory[1]].map((value = Number.NaN) => value.toFixed(0)).join(' → ') +
      ' MiB',
  ]);
  const none = ['none', ...floor.map((level) => heldOf(level)), '–', '–'];
  return grid([head, ...body, none, ...notHere(absent, head)]);
}

function heldOf(holding: Holding | undefined): string {
  if (!holding) return 'not tried';
  const { streams: count, held, longestGapMs } = holding;
  const gap = `longest gap ${longestGapMs.toFixed(0)} ms`;
  return held === count ? `all, ${gap}` : `${held} of them, ${gap}`;
}

function cpuOfChunk(holdings: Holding[]): number {
  const chunks = holdings.reduce((sum, { streams: count }) => sum + count * CHUNKS, 0);
  return (holdings.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) * 1e6) / chunks;
}

function told({ name, minutes, requests, from, to, slope }: Soak): string {
  const memory = `${from.toFixed(0)} MiB after a third of it, ${to.toFixed(0)} MiB at its end`;
  return `Under load for ${minutes} min (${name}; ${requests.toLocaleString('en')} requests, half of them streamed): ${memory}, ${slope.toFixed(2)} MiB a minute by the line of least squares.`;
}

const notHere = (absent: Absent[], head: string[]): string[][] =>
  absent.map(({ name }) => [name, ...head.slice(1).map(() => 'not here')]);

/** `0.93 (0.91–1.02)` */
function range(values: number[], digits: number): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return values.length === 0 ? 'failed' : `${median(values).toFixed(digits)} (${least}–${most})`;
}

const beside = (values: number[], kadre: number[] | undefined): string =>
  kadre && values.length > 0 ? `, ${(median(values) / median(kadre)).toPrecision(2)} ×` : '';
