// Durable workflow engines side by side: same machine, same disk, every engine syncs to it. Each has it to itself for its
// turn, and the turns go round, so that a slower moment of the machine meets all.
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { contenders, KADRE } from './contenders.ts';
import { secondsOf, Turn, type Contender, type Outcome } from './contender.ts';
import { benchCache } from '../install.ts';
import { BUDGET_SECONDS, floor, LIMIT_SECONDS, ENOUGH_SECONDS, rounds, warmUp, type Load, type Row } from './loads.ts';
import { peersReport } from './report.ts';

export async function peers(): Promise<string> {
  const [busy = 0] = loadavg();
  const { present, absent } = await contenders();
  const rows = present.map((contender) => ({ name: contender.name, outcomes: new Map<Load, Outcome[]>(), contender }));
  const begun = performance.now();
  const again = (outcomes: Outcome[] = []) =>
    outcomes.length === 0 || (worthIt(outcomes) && performance.now() - begun < BUDGET_SECONDS * 1000);
  for (const [round, asked] of rounds.entries()) {
    for (const row of rows) {
      const open = asked.filter((load) => concerns(load, row.contender) && again(row.outcomes.get(load)));
      if (open.length === 0) continue;
      const started = performance.now();
      await takeTurn(row.contender, open, (load, outcome) => note(row, load, outcome));
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      console.error(`Round ${round + 1} of ${rounds.length}: ${row.name}, ${seconds} s`);
    }
  }
  return peersReport(rows, absent, busy);
}

const concerns = (load: Load, { name }: Contender) => load !== floor || name === KADRE;

/** What fails or takes long would do so again. */
function worthIt(outcomes: Outcome[]): boolean {
  const seconds = secondsOf(outcomes);
  return seconds.length === outcomes.length && seconds.reduce((sum, one) => sum + one, 0) <= ENOUGH_SECONDS;
}

function note(row: Row, load: Load, outcome: Outcome): void {
  row.outcomes.set(load, [...(row.outcomes.get(load) ?? []), outcome]);
}

/** Whatever does not finish in time, or dies, is started anew for the loads that are left. */
async function takeTurn(contender: Contender, open: Load[], noted: (load: Load, outcome: Outcome) => void) {
  let turn: Turn | undefined;
  for (const load of open) {
    try {
      turn ??= await begin(contender);
      noted(load, await turn.measure(load.name, load.count, LIMIT_SECONDS * 1000));
    } catch (error) {
      noted(load, { error: error instanceof Error ? error.message : String(error) });
    }
    if (turn?.spent === true) {
      await turn.end();
      turn = undefined;
    }
  }
  await turn?.end();
}

async function begin(contender: Contender): Promise<Turn> {
  const turn = await Turn.begin(contender, join(benchCache, 'turn'));
  for (const { name, count } of warmUp) await turn.measure(name, count, LIMIT_SECONDS * 1000);
  return turn;
}
