// How figures are told: what was measured, the figure, and what it stands beside.
import { cpus } from 'node:os';

export interface Figure {
  what: string;
  /** With its unit. */
  figure: string;
  /** What it is compared with: a peer or a floor of the same run, or the number to reach. */
  beside: string;
}

/** The value below which the given share of all values lies. */
export function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower, upper] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return ((lower ?? Number.NaN) + (upper ?? Number.NaN)) / 2;
}

export function table(figures: Figure[]): string {
  return grid([['What', 'Figure', 'Beside'], ...figures.map((f) => [f.what, f.figure, f.beside])]);
}

/** A table in Markdown, aligned as Prettier wants it; the first row is its head. */
export function grid(rows: string[][]): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** `busy`: the machine's load before anything was measured. */
export function machine(busy: number): string {
  const processor = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), load ${busy.toFixed(1)} before`;
  const warning = ' The machine was busy with other work: measure again when it is idle before quoting a figure.';
  return `Node ${process.version}, ${processor}.${busy < 1 ? '' : warning}`;
}
