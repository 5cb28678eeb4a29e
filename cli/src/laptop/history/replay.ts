// `kadre run --replay`: a recorded run, read again from its log. Nothing is carried out.
import { isDeepStrictEqual } from 'node:util';
import { replayRun } from '@kadre/engine';
import { openSqliteStore, type Store } from '@kadre/store';
import { exits } from '../errors.ts';
import type { Output } from '../options.ts';
import { exitOf, resultText } from '../run/result.ts';
import { sentence } from '../terminal/sentences.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { isOver, look, newView } from '../terminal/view.ts';
import { openFolder, readFork } from './folders.ts';
import { laptopStore, openOutputCache } from './laptop-store.ts';

/** Exit status as that of the run; 1 if today's code makes something else of the log than was recorded. */
export async function replay(
  history: string,
  name: string,
  { output, quiet = false }: { output: Output; quiet?: boolean },
  terminal: Terminal,
): Promise<number> {
  const { folder, record } = await openFolder(history, name);
  const own = openSqliteStore(folder.store);
  try {
    const store = laptopStore(own, openOutputCache(':memory:'), await readFork(folder));
    const view = newView(record.pinned.workflow.steps.map((step) => step.name));
    for (const event of await store.events(record.uid)) {
      look(view, event);
      const said = quiet ? undefined : sentence(view, event);
      if (said !== undefined) terminal.note(said);
    }
    const difference = await differenceOf(store, record.uid);
    if (difference !== undefined) {
      terminal.note(`The log does not come to what was recorded: ${difference}`);
      return exits.failed;
    }
    if (!quiet) terminal.note('The log comes to what was recorded.');
    const text = isOver(view) ? resultText(record, view, output) : undefined;
    if (text !== undefined) terminal.print(text);
    return isOver(view) ? exitOf(view) : exits.succeeded;
  } finally {
    await own.close();
  }
}

/** Where the state after all events differs from the projection that was written with the last of them. */
async function differenceOf(store: Store, uid: string): Promise<string | undefined> {
  const [recorded, again] = [await store.projection(uid), await replayRun(store, uid)];
  if (!recorded && !again) return undefined;
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
  const before = plain(recorded?.status) as Record<string, unknown>;
  const after = plain(again?.status) as Record<string, unknown>;
  const field = Object.keys({ ...before, ...after }).find((key) => !isDeepStrictEqual(before[key], after[key]));
  if (field === undefined) return undefined;
  return `${field} is ${brief(after[field])}, and was ${brief(before[field])}`;
}

function brief(value: unknown): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
