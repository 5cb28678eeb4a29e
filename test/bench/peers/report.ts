import { cpus } from 'node:os';
import { grid, median } from '../report.ts';
import { secondsOf, type Outcome } from './contender.ts';
import { KADRE, type Absent } from './contenders.ts';
import { floor, LIMIT_SECONDS, loads, ROUNDS, type Load, type Row } from './loads.ts';

/** In Markdown. */
export function peersReport(rows: Row[], absent: Absent[], busy: number): string {
  const kadre = rows.find(({ name }) => name === KADRE);
  const head = ['Engine', ...loads.map(({ title }) => title)];
  const body = rows.map((row) => [row.name, ...loads.map((load) => cell(row.outcomes.get(load) ?? [], kadre, load))]);
  const missing = absent.map(({ name }) => [name, ...loads.map(() => 'not here')]);
  const remarks = [...absent.map(({ name, why }) => `${name} is not here: ${why}.`), ...rows.flatMap(failuresOf)];
  return [grid([head, ...body, ...missing]), ...remarks, ...(kadre ? [overHttp(kadre)] : []), machine(busy)].join(
    '\n\n',
  );
}

function cell(outcomes: Outcome[], kadre: Row | undefined, load: Load): string {
  const times = secondsOf(outcomes);
  const failed = outcomes.filter((outcome) => 'error' in outcome).length;
  const late = outcomes.some((outcome) => 'late' in outcome) ? [`more than ${LIMIT_SECONDS} s`] : [];
  const failures = failed > 0 ? [`${failed} of ${outcomes.length} failed`] : [];
  const compared = kadre?.outcomes.get(load) ?? [];
  const ratio = median(times) / median(secondsOf(compared));
  const ratios = compared === outcomes || Number.isNaN(ratio) ? [] : [`${ratio.toPrecision(2)} ×`];
  return [...(times.length > 0 ? [told(times)] : []), ...ratios, ...late, ...failures].join(', ');
}

function failuresOf({ name, outcomes }: Row): string[] {
  const reasons = [...outcomes].flatMap(([{ title }, of]) =>
    of.flatMap((outcome) => ('error' in outcome ? [`${name}, ${title}, failed: ${outcome.error}.`] : [])),
  );
  return [...new Set(reasons)];
}

/** `0.93 s (0.91–1.02)`; without a range if it was measured once. */
function told(seconds: number[]): string {
  const digits = (value: number) => value.toFixed(value < 0.1 ? 3 : value < 10 ? 2 : 1);
  const range = `${digits(Math.min(...seconds))}–${digits(Math.max(...seconds))}`;
  return `${digits(median(seconds))} s${seconds.length > 1 ? ` (${range})` : ''}`;
}

function overHttp(kadre: Row): string {
  const perStep = (load: Load) => (median(secondsOf(kadre.outcomes.get(load) ?? [])) / load.count) * 1000;
  const [step, bare] = [perStep(loads[0]), perStep(floor)];
  return `A step of Kadre's chain, asked of an agent over HTTP: ${step.toFixed(2)} ms, ${(step / bare).toFixed(1)} × a bare request (${bare.toFixed(2)} ms); to reach: 2.5 ms.`;
}

function machine(busy: number): string {
  const processor = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), load ${busy.toFixed(1)} before`;
  return `Median (least–most) of up to ${ROUNDS} rounds; × is beside ${KADRE}. Node ${process.version}, ${processor}.`;
}
