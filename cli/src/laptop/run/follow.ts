// Shows a run while it is at work, until it is over or is left.
import { UsageError } from '../errors.ts';
import { sentence } from '../terminal/sentences.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { treeLines } from '../terminal/tree.ts';
import { isOver, type RunView } from '../terminal/view.ts';
import type { Decider } from './decider.ts';
import { Family, lookAt, type MemberEvent } from './family.ts';
import type { Session } from './session.ts';

export type Ending = 'over' | 'undecided' | 'interrupted' | 'terminated';

export interface FollowOptions {
  session: Session;
  terminal: Terminal;
  view: RunView;
  title: string;
  decider: Decider;
  /** To publish once the run has started. */
  events: readonly { name: string; payload: unknown }[];
  quiet: boolean;
  colour: boolean;
  signals: Signals;
}

/** Drawing more often would only cost. */
const FRAME_MS = 100;
const LOOK_MS = 500;
/** Of a run that this one has asked for. */
const CHILD_ROWS = 8;
/** A run that stands still may be between two steps: this many looks in a row must see it so. */
const STILL_LOOKS = 3;

export async function follow(options: FollowOptions): Promise<Ending> {
  const { session, terminal, view, decider, events, signals } = options;
  const family = new Family(session, view);
  let still = 0;
  let published = false;
  for (;;) {
    const news = await session.next(terminal.redraws && !options.quiet ? FRAME_MS : LOOK_MS);
    const told = await family.takeIn(news);
    for (const one of told) {
      lookAt(one);
      if (!terminal.redraws && !options.quiet) note(terminal, said(options, one));
    }
    draw(options, family);
    if (isOver(view)) return 'over';
    if (signals.ending) return signals.ending;
    if (!published && view.startedAt !== undefined) {
      published = true;
      for (const { name, payload } of events) await decider.publish(name, payload);
    }
    await decider.look(family);
    still = told.length === 0 && decider.isStuck(family) ? still + 1 : 0;
    if (still >= STILL_LOOKS && (await waits(session, family))) return 'undecided';
  }
}

/** Whoever has asked for another run is at work for as long as that waits. */
async function waits({ store }: Session, family: Family): Promise<boolean> {
  for (const member of family.members) {
    const phase = (await store.projection(member.uid))?.status.phase;
    if (phase !== 'Waiting' && !family.hasAsked(member)) return false;
  }
  return true;
}

/** What was said before is not said again. */
function said({ session, view }: FollowOptions, { member, event }: MemberEvent): string | undefined {
  const { name } = member;
  if (name === undefined) return event.seq > session.before ? sentence(view, event) : undefined;
  return event.at >= session.openedAt ? sentence(member.view, event, { name, since: view.startedAt }) : undefined;
}

function note(terminal: Terminal, text: string | undefined): void {
  if (text !== undefined) terminal.note(text);
}

function draw({ terminal, view, title, quiet, colour }: FollowOptions, { members }: Family): void {
  if (!terminal.redraws || quiet) return;
  const { rows } = terminal.screen.size;
  const now = Date.now();
  const below = members.flatMap(({ name, view: child }) =>
    name === undefined ? [] : treeLines(child, name, { now, rows: CHILD_ROWS, colour }),
  );
  const shown = below.slice(0, Math.floor(rows / 2));
  terminal.draw([...treeLines(view, title, { now, rows: rows - shown.length, colour }), ...shown]);
}

/** Ctrl-C cancels the run; once more, or SIGTERM, leaves it as it is. */
export class Signals {
  ending: Ending | undefined;
  readonly #cancel: () => void;
  readonly #leave: (ending: Ending) => void;
  #times = 0;

  constructor(cancel: () => void, leave: () => void) {
    this.#cancel = cancel;
    this.#leave = (ending) => {
      this.ending ??= ending;
      leave();
    };
    process.on('SIGINT', this.interrupt).on('SIGTERM', this.#terminate).on('SIGHUP', this.#terminate);
  }

  readonly interrupt = (): void => {
    this.#times += 1;
    if (this.#times === 1) this.#cancel();
    else this.#leave('interrupted');
  };

  readonly #terminate = (): void => this.#leave('terminated');

  stop(): void {
    process.off('SIGINT', this.interrupt).off('SIGTERM', this.#terminate).off('SIGHUP', this.#terminate);
  }
}

/** `name=JSON`. */
export function readEvent(text: string): { name: string; payload: unknown } {
  const at = text.indexOf('=');
  const [name, raw] = at < 0 ? [text, 'null'] : [text.slice(0, at), text.slice(at + 1)];
  if (name === '') throw new UsageError(`--event ${text}: write --event name=JSON`);
  try {
    return { name, payload: JSON.parse(raw) as unknown };
  } catch {
    return { name, payload: raw };
  }
}
