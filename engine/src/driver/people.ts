// What people are asked on behalf of attempts at work, by the gateway: calls that they must approve, and questions of agents.
import type { ApprovalRecord } from '@kadre/store';
import type { EngineEvent } from '../core/events.ts';
import type { Attempt, RunState } from '../core/state.ts';
import type { World } from './world.ts';

/** Whatever agents hand on to each other has its name after this. */
const PART = '/';

export class People {
  readonly #world: World;
  readonly #state: RunState;

  constructor(world: World, state: RunState) {
    this.#world = world;
    this.#state = state;
  }

  /** What is to be recorded of these approvals, and on demand of all that attempts are known to wait for. */
  async news(keys: ReadonlySet<string>, { known }: { known: boolean }): Promise<EngineEvent[]> {
    const events: EngineEvent[] = [];
    for (const key of known ? new Set([...keys, ...this.#known()]) : keys) {
      const record = await this.#world.store.approval(key);
      const event = record?.call && (await this.#eventOf(record));
      if (event) events.push(event);
    }
    return events;
  }

  #known(): string[] {
    return [...this.#state.active.values()].flatMap(({ asks }) => [...asks.keys()]);
  }

  async #eventOf({ key, step, attempt, name, state, expiresAt }: ApprovalRecord): Promise<EngineEvent | undefined> {
    const active = this.#attemptAt(step, attempt);
    const isOpen = state === 'open';
    // The pod of an attempt that is over has asked before it was stopped.
    if (!active && isOpen) await this.#world.store.withdrawApproval(key);
    if (!active || active.asks.has(key) === isOpen) return undefined;
    const at = this.#world.clock.now();
    const data = { step: active.id, attempt, key };
    if (!isOpen) return { at, type: 'StepAnswered', data };
    return { at, type: 'StepAsked', data: { ...data, approval: name, ...(expiresAt !== undefined && { expiresAt }) } };
  }

  #attemptAt(step: string, attempt: number): Attempt | undefined {
    const [id = ''] = step.split(PART);
    const active = this.#state.active.get(id);
    return active?.attempt === attempt ? active : undefined;
  }
}
