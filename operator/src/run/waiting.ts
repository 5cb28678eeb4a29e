/** What a Run that has not begun may wait for. */
export const waitsFor = {
  workflow: (namespace: string, name: string) => `Workflow/${namespace}/${name}`,
  agent: (namespace: string, name: string) => `Agent/${namespace}/${name}`,
  tool: (namespace: string, name: string) => `Tool/${namespace}/${name}`,
  run: (namespace: string, name: string) => `Run/${namespace}/${name}`,
  pool: (name: string) => `GpuPool/${name}`,
};

/**
 * Which Runs look out for what. Told before a cache is looked at, so that nothing that comes after the look is missed. Lost
 * with the process; the first look at a Run brings it back.
 */
export class WaitingRuns {
  readonly #runsByThing = new Map<string, Set<string>>();
  readonly #thingsByRun = new Map<string, Set<string>>();

  expect(run: string, thing: string): void {
    add(this.#runsByThing, thing, run);
    add(this.#thingsByRun, run, thing);
  }

  forget(run: string): void {
    for (const thing of this.#thingsByRun.get(run) ?? []) {
      const runs = this.#runsByThing.get(thing);
      runs?.delete(run);
      if (runs?.size === 0) this.#runsByThing.delete(thing);
    }
    this.#thingsByRun.delete(run);
  }

  /** Keys of the Runs that wait for it. */
  for(thing: string): string[] {
    return [...(this.#runsByThing.get(thing) ?? [])];
  }
}

function add(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}
