import type { Absent } from '../install.ts';
import { grid, machine, median } from '../report.ts';
import { secondsOf, type Outcome } from './contender.ts';
import { KADRE } from './contenders.ts';
import { floor, LIMIT_SECONDS, loads, type Load, type Row } from './loads.ts';

/** In Markdown. */
export function peersReport(rows: Row[], absent: Absent[], busy: number): string {
  const kadre = rows.find(({ name }) => name === KADRE);
  const head = ['Engine', ...loads.map(({ title }) => title)];
  const body = rows.map((row) => [row.name, ...loads.map((load) => cell(row.outcomes.get(load) ?? [], kadre, load))]);
  const missing = absent.map(({ name }) => [name, ...loads.map(() => 'not here')]);
  const remarks = [...absent.map(({ name, why }) => `${name} is not here: ${why}.`), ...rows.flatMap(failuresOf)];
  return [
    grid([head, ...body, ...missing]),
    ...remarks,
    ...(kadre ? [overHttp(kadre)] : []),
    `Median (least–most) of up to three rounds; × is beside ${KADRE}. ${machine(busy)}`,
  ].join('\n\n');
}

function cell(outcomes: Outcome[], kadre: Row | undefined, load: Load): string {
  const times = secondsOf(outcomes);
  const compared = kadre?.outcomes.get(load) ?? [];
  const ours = compared === outcomes ? Number.NaN : median(secondsOf(compared));
  const ratio = (seconds: number, sign = '') =>
    Number.isNaN(ours) ? '' : `, ${sign}${(seconds / ours).toPrecision(2)} ×`;
  if (times.length > 0) return [`${told(times)}${ratio(median(times))}`, ...misfortunes(outcomes)].join(', ');
  const allLate = outcomes.length > 0 && outcomes.every((outcome) => 'late' in outcome);
  return allLate ? `more than ${LIMIT_SECONDS} s${ratio(LIMIT_SECONDS, '> ')}` : misfortunes(outcomes).join(', ');
}

function misfortunes(outcomes: Outcome[]): string[] {
  const late = outcomes.filter((outcome) => 'late' in outcome).length;
  const failed = outcomes.filter((outcome) => 'error' in outcome).length;
  return [
    ...(late > 0 ? [`${late} of ${outcomes.length} more than ${LIMIT_SECONDS} s`] : []),
    ...(failed > 0 ? [`${failed} of ${outcomes.length} failed`] : []),
  ];
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
