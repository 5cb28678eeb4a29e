// Turns go round among namespaces, within a namespace among its agents, and the calls of one agent go in their order. So
// however many calls somebody makes, everybody else waits for one of them at a time.

export interface Place {
  readonly namespace: string;
  readonly agent: string;
}

interface Agents {
  size: number;
  /** The first is the next to be served; who was served goes to the end. */
  calls: Map<string, Set<Place>>;
}

export class FairQueue<T extends Place> {
  readonly #namespaces = new Map<string, Agents>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    const { namespace, agent } = item;
    const agents = this.#namespaces.get(namespace) ?? { size: 0, calls: new Map<string, Set<Place>>() };
    const calls = agents.calls.get(agent) ?? new Set();
    this.#namespaces.set(namespace, agents);
    agents.calls.set(agent, calls.add(item));
    agents.size += 1;
    this.#size += 1;
  }

  /** Whose turn it is. */
  first(): T | undefined {
    const agents = firstOf(this.#namespaces.values());
    const calls = agents && firstOf(agents.calls.values());
    return calls && (firstOf(calls.values()) as T | undefined);
  }

  /** Takes the first out; its agent and its namespace have had their turn. */
  shift(): T | undefined {
    const item = this.first();
    if (!item) return undefined;
    this.delete(item);
    const agents = this.#namespaces.get(item.namespace);
    if (!agents) return item;
    toTheEnd(this.#namespaces, item.namespace);
    if (agents.calls.has(item.agent)) toTheEnd(agents.calls, item.agent);
    return item;
  }

  /** `false` if it is not there. */
  delete(item: T): boolean {
    const { namespace, agent } = item;
    const agents = this.#namespaces.get(namespace);
    const calls = agents?.calls.get(agent);
    if (!agents || !calls?.delete(item)) return false;
    if (calls.size === 0) agents.calls.delete(agent);
    agents.size -= 1;
    if (agents.size === 0) this.#namespaces.delete(namespace);
    this.#size -= 1;
    return true;
  }

  /** About how many go before one that comes now: of its own agent all, of the others as many as have their turn till then. */
  ahead({ namespace, agent }: Place): number {
    const agents = this.#namespaces.get(namespace);
    const own = agents?.calls.get(agent)?.size ?? 0;
    let ahead = own;
    for (const [name, { size }] of agents?.calls ?? []) if (name !== agent) ahead += Math.min(size, Math.max(1, own));
    const turns = Math.max(1, ahead);
    for (const [name, { size }] of this.#namespaces) if (name !== namespace) ahead += Math.min(size, turns);
    return ahead;
  }
}

const firstOf = <T>(items: Iterator<T>): T | undefined => items.next().value as T | undefined;

function toTheEnd<T>(ring: Map<string, T>, key: string): void {
  const value = ring.get(key) as T;
  ring.delete(key);
  ring.set(key, value);
}
