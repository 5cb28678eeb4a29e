// `kadre runs` and `kadre show`: looks into the history of this machine.
import { exits } from '../errors.ts';
import type { Output } from '../options.ts';
import { exitOf, resultText } from '../run/result.ts';
import { readLog } from '../run/prepare.ts';
import { duration, money, time } from '../terminal/format.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { treeLines } from '../terminal/tree.ts';
import { isOver, look, newView, type RunView } from '../terminal/view.ts';
import { isAtWork, listRuns, openFolder, type RunRecord } from './folders.ts';

export async function showRuns(history: string, output: 'text' | 'json', terminal: Terminal): Promise<number> {
  const runs = (await listRuns(history)).map((record) => ({ record, phase: phaseOf(history, record) }));
  if (output === 'json') {
    const rows = runs.map(({ record: { name, uid, title, createdAt, finishedAt, costNanoUsd = 0 }, phase }) => ({
      name,
      uid,
      title,
      phase,
      createdAt,
      ...(finishedAt !== undefined && { finishedAt }),
      costUsd: costNanoUsd / 1e9,
    }));
    terminal.print(JSON.stringify(rows, null, 2));
    return exits.succeeded;
  }
  if (runs.length === 0) terminal.note(`There are no runs in ${history} yet.`);
  else
    terminal.print(
      columns([
        ['NAME', 'WHAT', 'PHASE', 'STARTED', 'TOOK', 'COST'],
        ...runs.map(({ record, phase }) => row(record, phase)),
      ]),
    );
  return exits.succeeded;
}

/** A run that is not over is in somebody's hands, or was left and can go on. */
function phaseOf(history: string, { name, phase, finishedAt }: RunRecord): string {
  if (finishedAt !== undefined) return phase ?? 'Unknown';
  return isAtWork(history, name) ? 'Running' : 'Left';
}

function row({ name, title, createdAt, finishedAt, costNanoUsd = 0 }: RunRecord, phase: string): string[] {
  const began = Date.parse(createdAt);
  const took = finishedAt === undefined ? '' : duration(Date.parse(finishedAt) - began);
  return [name, title, phase, time(began, Date.now()), took, money(costNanoUsd)];
}

function columns(rows: string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0))) ?? [];
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** With all steps, and the exit status of the run. */
export async function showRun(history: string, name: string, output: Output, terminal: Terminal): Promise<number> {
  const { folder, record } = await openFolder(history, name);
  const view: RunView = newView(record.pinned.workflow.steps.map((step) => step.name));
  const { events } = await readLog(folder, record);
  for (const event of events) look(view, event);
  const shown = { now: Date.now(), rows: Infinity, colour: terminal.colour, everything: true };
  if (output === 'text') for (const line of treeLines(view, `${name} (${record.title})`, shown)) terminal.note(line);
  const text = resultText(record, view, output);
  if (text !== undefined) terminal.print(text);
  return isOver(view) ? exitOf(view) : exits.succeeded;
}
