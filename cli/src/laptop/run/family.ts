// A run with those that it asks for, one through the other, as they are shown and as people are asked for them.
import type { RunRequestRecord, Store, StoredEvent } from '@kadre/store';
import { isOver, look, newView, type RunView } from '../terminal/view.ts';
import type { ChildRun } from './child-runs.ts';

export interface Member {
  uid: string;
  /** Undefined: the run itself. */
  name?: string;
  view: RunView;
  parent?: RunRequestRecord['parent'];
}

export interface MemberEvent {
  member: Member;
  event: StoredEvent;
}

export class Family {
  readonly #store: Pick<Store, 'events'>;
  readonly #run: Member;
  readonly #known: () => readonly ChildRun[];
  readonly #children = new Map<string, Member & { seq: number }>();

  constructor(
    { store, uid, children }: { store: Store; uid: string; children: () => readonly ChildRun[] },
    view: RunView,
  ) {
    this.#store = store;
    this.#run = { uid, view };
    this.#known = children;
  }

  /** Those at work; the run itself is always among them. */
  get members(): readonly Member[] {
    return [this.#run, ...[...this.#children.values()].filter(({ view }) => !isOver(view))];
  }

  /** Whether somebody at work has been asked for by that attempt. */
  hasAsked(member: Member, isAsker: (parent: NonNullable<Member['parent']>) => boolean = () => true): boolean {
    return this.members.some(({ parent }) => parent?.run === member.uid && isAsker(parent));
  }

  /** Takes in these events of the run itself, and what there is of the others, in the order in which they happened. */
  async takeIn(news: readonly StoredEvent[]): Promise<MemberEvent[]> {
    const told: MemberEvent[] = news.map((event) => ({ member: this.#run, event }));
    for (const { uid, name, planned, parent } of this.#known()) {
      if (!this.#children.has(uid))
        this.#children.set(uid, { uid, name, view: newView(planned), seq: 0, ...(parent && { parent }) });
    }
    for (const child of this.#children.values()) {
      if (isOver(child.view)) continue;
      const events = await this.#store.events(child.uid, child.seq);
      child.seq = events.at(-1)?.seq ?? child.seq;
      told.push(...events.map((event) => ({ member: child, event })));
    }
    return told.sort((one, other) => one.event.at - other.event.at);
  }
}

/** Changes the view of whom the event is of. */
export const lookAt = ({ member, event }: MemberEvent): void => look(member.view, event);
