// However often the operator dies between two of its acts, whatever becomes of pods and claims meanwhile: no sandbox is offered
// twice, none is deleted under somebody's hands, and in the end there are as many as are wanted.
import { expect, test } from '@jest/globals';
import { SANDBOX_KEY_ENV } from '@kadre/sandbox';
import type { OfferedSandbox } from '@kadre/store';
import fc from 'fast-check';
import type { Pod } from '../build/wire.ts';
import { decidePool } from './decide.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const IMAGE = 'kadre-sandbox:1';

type Act =
  { turn: number } | { start: true } | { claim: true } | { release: true } | { fail: number } | { want: number };

/** What there is: pods in the API server, and what the store keeps of them. */
class World {
  pods: Pod[] = [];
  readonly offered = new Map<string, OfferedSandbox['state']>();
  /** All that were ever offered: the store knows those that it has forgotten no more. */
  readonly history: string[] = [];
  readonly torn: string[] = [];
  warm = 2;
  #made = 0;

  /** One reconciliation, which dies before it has done more than so many acts. */
  turn(most: number): number {
    const offered = [...this.offered].map(([id, state]) => ({ id, state }));
    const { offer, withdraw, remove, forget, create } = decidePool(
      { pods: this.pods, offered, waiting: 0, warm: this.warm, image: IMAGE, unseen: 0 },
      NOW,
    );
    const acts = [
      ...offer.map(
        ({ metadata }) =>
          () =>
            this.#offer(metadata.uid ?? ''),
      ),
      ...withdraw.flatMap(({ metadata: { uid = '' } }) => {
        let free = false;
        return [
          () => {
            free = this.offered.get(uid) !== 'taken';
            if (free) this.offered.set(uid, 'spent');
          },
          () => free && this.#delete(uid),
        ];
      }),
      ...remove.map(
        ({ metadata }) =>
          () =>
            this.#delete(metadata.uid ?? ''),
      ),
      ...forget.map((id) => () => this.offered.delete(id)),
      ...Array.from({ length: create }, () => () => this.#create()),
    ];
    for (const act of acts.slice(0, most)) act();
    return acts.length;
  }

  start(): void {
    this.#each('Pending', (pod) => this.#set(pod, 'Running', true));
  }

  claim(): void {
    const [id] = [...this.offered].find(([, state]) => state === 'free') ?? [];
    if (id !== undefined) this.offered.set(id, 'taken');
  }

  /** The program is over, and so is its pod. */
  release(): void {
    const [id] = [...this.offered].find(([, state]) => state === 'taken') ?? [];
    if (id === undefined) return;
    this.offered.set(id, 'spent');
    this.pods = this.pods.map((pod) => (pod.metadata.uid === id ? withStatus(pod, 'Succeeded', false) : pod));
  }

  fail(which: number): void {
    const pod = this.pods[which % Math.max(1, this.pods.length)];
    if (pod) this.#set(pod, 'Failed', false);
  }

  #each(phase: string, act: (pod: Pod) => void): void {
    for (const pod of this.pods.filter(({ status }) => status?.phase === phase)) act(pod);
  }

  #set(pod: Pod, phase: string, ready: boolean): void {
    this.pods = this.pods.map((one) => (one === pod ? withStatus(pod, phase, ready) : one));
  }

  #offer(id: string): void {
    if (this.offered.has(id)) return;
    this.offered.set(id, 'free');
    this.history.push(id);
  }

  #delete(id: string): void {
    if (this.offered.get(id) === 'taken') this.torn.push(id);
    this.pods = this.pods.filter(({ metadata }) => metadata.uid !== id);
  }

  #create(): void {
    const uid = `pod-${++this.#made}`;
    const container = { name: 'sandbox', image: IMAGE, env: [{ name: SANDBOX_KEY_ENV, value: uid }] };
    const creationTimestamp = new Date(NOW - 60_000).toISOString();
    const made: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: uid, uid, creationTimestamp },
      spec: { containers: [container] },
    };
    this.pods = [...this.pods, withStatus(made, 'Pending', false)];
  }
}

const withStatus = (pod: Pod, phase: string, ready: boolean): Pod => ({
  ...pod,
  status: { phase, podIP: '10.0.0.7', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

function play(world: World, act: Act): void {
  if ('turn' in act) world.turn(act.turn);
  else if ('start' in act) world.start();
  else if ('claim' in act) world.claim();
  else if ('release' in act) world.release();
  else if ('fail' in act) world.fail(act.fail);
  else world.warm = act.want;
}

const acts = fc.oneof(
  fc.record({ turn: fc.nat(4) }),
  fc.constant({ start: true as const }),
  fc.constant({ claim: true as const }),
  fc.constant({ release: true as const }),
  fc.record({ fail: fc.nat(5) }),
  fc.record({ want: fc.nat(3) }),
);

test('any number of crashes leaves as many sandboxes as are wanted, each offered once and no more', () => {
  fc.assert(
    fc.property(fc.array(acts, { maxLength: 40 }), (story) => {
      const world = new World();
      for (const act of story) play(world, act);
      let rounds = 0;
      do {
        world.start();
        expect(++rounds).toBeLessThan(20);
      } while (world.turn(Infinity) > 0);
      const free = [...world.offered.values()].filter((state) => state === 'free');
      const taken = [...world.offered.values()].filter((state) => state === 'taken');
      expect(free).toHaveLength(world.warm);
      expect(world.pods).toHaveLength(world.warm + taken.length);
      expect(new Set(world.history).size).toBe(world.history.length);
      expect(world.torn).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
