// Changes of watched objects, and what they start, through every kind of restart.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Trigger, TriggerStatus, WatchTrigger } from '@kadre/crds';
import { planTrigger, type TriggerPlan } from '@kadre/engine';
import { firstLook, follow, lookAgain, readProgress, writtenProgress, type Batch, type Progress } from './changes.ts';
import type { Change } from '../kube/cache.ts';
import type { KubeObject } from '../kube/plan.ts';

const START = Date.parse('2026-01-01T12:00:00Z');
const FAILED = '$(object.status.phase == "Failed")';

function trigger(watch: Partial<WatchTrigger>): { trigger: Trigger; watch: WatchTrigger; plan: TriggerPlan } {
  const whole: WatchTrigger = { apiVersion: 'v1', kind: 'Pod', changes: ['Added', 'Modified', 'Deleted'], ...watch };
  const subject: Trigger = {
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Trigger',
    metadata: {
      name: 't',
      namespace: 'team',
      uid: 'u',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T12:00:00Z',
    },
    spec: { watch: whole, start: { workflow: { name: 'w' } } },
  };
  const planned = planTrigger(subject.spec);
  if ('problems' in planned) throw new Error(JSON.stringify(planned.problems));
  return { trigger: subject, watch: whole, plan: planned.plan };
}

interface Shape {
  version?: number;
  created?: string;
  phase?: string | undefined;
  labels?: Record<string, string>;
}

function pod(
  name: string,
  { version = 10, created = '2026-01-01T12:00:05Z', phase, labels = {} }: Shape = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'team',
      uid: `uid-${name}`,
      resourceVersion: `${version}`,
      creationTimestamp: created,
      labels,
    },
    ...(phase !== undefined && { status: { phase } }),
  };
}

const causes = ({ fires }: Batch) => fires.map(({ cause }) => cause.text);
const keys = ({ fires }: Batch) => fires.map(({ cause }) => cause.key);
const added = (object: KubeObject): Change<KubeObject> => ({ type: 'added', object });
const updated = (object: KubeObject, old: KubeObject): Change<KubeObject> => ({ type: 'updated', object, old });
const deleted = (object: KubeObject): Change<KubeObject> => ({ type: 'deleted', object, old: object });
const old = '2026-01-01T11:59:59Z';

const nothing: Progress = { resourceVersion: '1', createdUpTo: START, known: new Set() };
const at = (watch: Partial<WatchTrigger>) => ({ ...trigger(watch), now: START });

describe('the first look', () => {
  test('counts what was created since the Trigger was, in the same second too, and nothing older', () => {
    const objects = [pod('old', { created: old }), pod('same', { created: '2026-01-01T12:00:00Z' }), pod('new')];
    const batch = firstLook(at({}), objects, START);
    expect(causes(batch)).toEqual(['Added Pod same', 'Added Pod new']);
    expect(batch.progress).toMatchObject({ resourceVersion: '10', createdUpTo: START + 5000 });
  });

  test('takes what already is as the filter wants it for known', () => {
    const failed = pod('a', { created: old, phase: 'Failed' });
    const { progress } = firstLook(at({ filter: FAILED }), [failed], START);
    expect(progress.known.size).toBe(1);
    const later = updated(pod('a', { version: 11, phase: 'Failed' }), failed);
    expect(causes(follow(at({ filter: FAILED }), [later], progress, '10'))).toEqual([]);
  });

  test('of an empty namespace leaves a state from which all that comes counts', () => {
    const { progress } = firstLook(at({}), [], START);
    const status = readProgress(writtenProgress(progress, 1));
    expect(causes(lookAgain(at({}), [pod('a')], status))).toEqual(['Added Pod a']);
  });
});

describe('a change', () => {
  const before = pod('a', { phase: 'Running' });
  const after = pod('a', { version: 11, phase: 'Failed' });
  test.each<[string, Partial<WatchTrigger>, Change<KubeObject>[], string[]]>([
    [
      'of each wanted kind counts',
      {},
      [added(before), updated(after, before), deleted(after)],
      ['Added Pod a', 'Modified Pod a', 'Deleted Pod a'],
    ],
    ['of another kind does not', { changes: ['Deleted'] }, [added(before), updated(after, before)], []],
    [
      'counts when the filter becomes true',
      { filter: FAILED },
      [added(before), updated(after, before)],
      ['Modified Pod a'],
    ],
    [
      'counts not while it stays true',
      { filter: FAILED },
      [updated(after, before), updated(pod('a', { version: 12, phase: 'Failed' }), after)],
      ['Modified Pod a'],
    ],
    ['for which the filter wants a field that is not there does not count', { filter: FAILED }, [added(pod('b'))], []],
    ['without the labels does not count', { labelSelector: { matchLabels: { team: 'x' } } }, [added(before)], []],
    [
      'with the labels does',
      { labelSelector: { matchLabels: { team: 'x' } } },
      [added(pod('b', { labels: { team: 'x', other: 'y' } }))],
      ['Added Pod b'],
    ],
    [
      'of a Run that the Trigger itself started does not count',
      {},
      [added(pod('b', { labels: { 'kadre.dev/trigger-uid': 'u' } }))],
      [],
    ],
    [
      'counts each time for a filter that compares',
      { filter: '$(change == "Modified" && oldObject.status.phase != object.status.phase)' },
      [
        updated(after, before),
        updated(pod('a', { version: 12, phase: 'Failed' }), after),
        updated(pod('a', { version: 13, phase: 'Running' }), after),
      ],
      ['Modified Pod a', 'Modified Pod a'],
    ],
    [
      'of an object that is older than the Trigger, and that comes late, is no addition',
      {},
      [added(pod('b', { created: old }))],
      [],
    ],
  ])('%s', (_what, watch, changes, expected) => {
    const batch = follow(at(watch), changes, nothing, '1');
    expect(causes(batch)).toEqual(expected);
    expect(batch.taken).toBe(changes.length);
  });

  test('shows the object before and after it', () => {
    const [first] = follow(at({}), [updated(after, before)], nothing, '1').fires;
    expect(first?.happening).toEqual({ object: after, oldObject: before, change: 'Modified' });
  });

  test('that turns an object twice waits until the first turn is written down', () => {
    const back = pod('a', { version: 12, phase: 'Running' });
    const again = pod('a', { version: 13, phase: 'Failed' });
    const changes = [updated(after, before), updated(back, after), updated(again, back)];
    const first = follow(at({ filter: FAILED }), changes, nothing, '1');
    expect(first.taken).toBe(1);
    const second = follow(at({ filter: FAILED }), changes.slice(1), first.progress, '11');
    expect(second.taken).toBe(1);
    const third = follow(at({ filter: FAILED }), changes.slice(2), second.progress, '12');
    expect(new Set([...keys(first), ...keys(second), ...keys(third)]).size).toBe(2);
  });
});

describe('another look, after a restart,', () => {
  test('starts nothing for what has been dealt with, whatever has become of its Runs', () => {
    const objects = [pod('a', { phase: 'Failed' }), pod('b')];
    const { progress } = firstLook(at({ filter: FAILED }), objects, START);
    expect(causes(lookAgain(at({ filter: FAILED }), objects, progress))).toEqual([]);
    const touched = [pod('a', { version: 20, phase: 'Failed' }), pod('b', { version: 21 })];
    expect(causes(lookAgain(at({ filter: FAILED, changes: ['Modified'] }), touched, progress))).toEqual([]);
  });

  test('finds what was created and what came to match meanwhile; what an object was before is not known', () => {
    const { progress } = firstLook(at({ filter: FAILED }), [pod('a', { created: old })], START);
    const later = '2026-01-01T13:00:00Z';
    const objects = [
      pod('a', { version: 20, created: old, phase: 'Failed' }),
      pod('b', { version: 21, created: later, phase: 'Failed' }),
    ];
    const batch = lookAgain(at({ filter: FAILED }), objects, progress);
    expect(causes(batch)).toEqual(['Modified Pod a', 'Added Pod b']);
    expect(batch.fires[0]?.happening.oldObject).toBeNull();
  });

  test('makes of an old state that a backup brought back the new one', () => {
    const { progress } = lookAgain(at({}), [pod('a', { version: 7 })], { ...nothing, resourceVersion: '900' });
    expect(progress.resourceVersion).toBe('7');
  });
});

test('what is remembered of ten thousand objects that match fits into a status', () => {
  const objects = Array.from({ length: 10_000 }, (_, i) => pod(`p-${i}`, { phase: 'Failed' }));
  const { progress } = firstLook(at({ filter: FAILED }), objects, START);
  expect(JSON.stringify(writtenProgress(progress, 1)).length).toBeLessThan(20_000);
});

// A model of the API server and of a process that looks at it, dies at any point, and starts again.
type Act =
  | { act: 'create' | 'remove' | 'turn' | 'touch'; object: number }
  | { act: 'reconcile'; dies: 'never' | 'before' | 'within' | 'after' }
  | { act: 'restart' }
  | { act: 'forget' };

const object = fc.nat(1);
const acts = fc.array(
  fc.oneof(
    fc.record({ act: fc.constantFrom('create', 'remove', 'turn', 'turn', 'touch'), object }),
    fc.record({ act: fc.constant('reconcile'), dies: fc.constantFrom('never', 'never', 'before', 'within', 'after') }),
    fc.record({ act: fc.constantFrom('restart', 'forget') }),
  ),
  { maxLength: 60, size: 'max' },
);

class World {
  readonly objects = new Map<number, KubeObject>();
  /** How often a Run was made, by its key. */
  readonly made = new Map<string, number>();
  private readonly runs = new Set<string>();
  /** Whether all that was started is written down. */
  private isWritten = false;
  /** How often an object came to match, counted apart for those that were created so. */
  readonly turns = new Map<string, number>();
  readonly creations = new Set<string>();
  private readonly subject: ReturnType<typeof at>;
  private status: TriggerStatus['watched'];
  private version = 100;
  private seconds = 0;
  private pending: Change<KubeObject>[] | undefined;
  private progress: Progress | undefined;

  constructor(watch: Partial<WatchTrigger>) {
    this.subject = at(watch);
  }

  play(one: Act): void {
    if (one.act === 'restart') this.restart();
    else if (one.act === 'forget') this.forget();
    else if (one.act === 'reconcile') this.reconcile(one.dies);
    else this.change(one.act, one.object);
  }

  private change(act: 'create' | 'remove' | 'turn' | 'touch', number: number): void {
    const before = this.objects.get(number);
    this.version += 1;
    // Several things happen within a second, and then nothing for a while.
    this.seconds += this.version % 3 === 0 ? 100 : 0;
    if (!before) {
      if (act !== 'create') return;
      const created = new Date(START + this.seconds * 1000).toISOString();
      const made = pod(`${number}-${this.version}`, { version: this.version, created, phase: 'Running' });
      this.objects.set(number, made);
      this.creations.add(made.metadata.uid ?? '');
      this.pending?.push(added(made));
    } else if (act === 'remove') {
      this.objects.delete(number);
      this.pending?.push(deleted({ ...before, metadata: { ...before.metadata, resourceVersion: `${this.version}` } }));
    } else if (act !== 'create') {
      const was = (before.status as { phase: string }).phase;
      const phase = act === 'touch' ? was : was === 'Failed' ? 'Running' : 'Failed';
      const uid = before.metadata.uid ?? '';
      if (act === 'turn' && phase === 'Failed') this.turns.set(uid, (this.turns.get(uid) ?? 0) + 1);
      const after = {
        ...before,
        metadata: { ...before.metadata, resourceVersion: `${this.version}` },
        status: { phase },
      };
      this.objects.set(number, after);
      this.pending?.push(updated(after, before));
    }
  }

  /** Runs go once what they stand for is written down. */
  private forget(): void {
    if (this.isWritten) this.runs.clear();
  }

  private restart(): void {
    this.pending = undefined;
    this.progress = undefined;
  }

  private reconcile(dies: 'never' | 'before' | 'within' | 'after'): void {
    const { subject, status } = this;
    const now = START + this.seconds * 1000;
    const objects = [...this.objects.values()];
    const isLook = !this.progress;
    if (isLook) this.pending = [];
    const batch = this.progress
      ? follow({ ...subject, now }, this.pending ?? [], this.progress, status?.resourceVersion ?? '')
      : status
        ? lookAgain({ ...subject, now }, objects, readProgress(status))
        : firstLook({ ...subject, now }, objects, START);
    const fires = dies === 'before' ? [] : dies === 'within' ? batch.fires.slice(0, 1) : batch.fires;
    for (const { key } of fires.map(({ cause }) => cause)) {
      if (!this.runs.has(key)) this.made.set(key, (this.made.get(key) ?? 0) + 1);
      this.runs.add(key);
    }
    this.isWritten = false;
    if (dies === 'before' || dies === 'within') {
      this.restart();
      return;
    }
    this.status = writtenProgress(batch.progress, 1);
    this.isWritten = true;
    // What a write has brought about is not always heard of.
    if (dies === 'after') {
      this.restart();
      return;
    }
    this.progress = batch.progress;
    this.pending?.splice(0, batch.taken);
  }

  /** All that is left is dealt with. */
  settle(): void {
    for (let i = 0; i < 70; i++) this.reconcile('never');
  }

  startedFor(change: string, uid: string): number {
    const own = [...this.made].filter(([key]) => key.startsWith(`watch/${change}/${uid}`));
    return own.reduce((sum, [, times]) => sum + times, 0);
  }
}

describe('however often the process dies, and at whatever point,', () => {
  test('an object that was created counts once, and none is forgotten that is still there', () => {
    fc.assert(
      fc.property(acts, (script) => {
        const world = new World({ changes: ['Added'] });
        for (const one of script) world.play(one);
        world.settle();
        for (const uid of world.creations) expect(world.startedFor('Added', uid)).toBeLessThanOrEqual(1);
        for (const { metadata } of world.objects.values())
          expect(world.startedFor('Added', metadata.uid ?? '')).toBe(1);
      }),
      { numRuns: 500 },
    );
  });

  test('an object counts at most once for each time that it came to match, and once at least if it does', () => {
    fc.assert(
      fc.property(acts, (script) => {
        const world = new World({ changes: ['Modified'], filter: FAILED });
        world.play({ act: 'reconcile', dies: 'never' });
        for (const one of script) world.play(one);
        world.settle();
        for (const uid of world.creations)
          expect(world.startedFor('Modified', uid)).toBeLessThanOrEqual(world.turns.get(uid) ?? 0);
        for (const { metadata, status } of world.objects.values()) {
          const isFailed = (status as { phase: string }).phase === 'Failed';
          if (isFailed) expect(world.startedFor('Modified', metadata.uid ?? '')).toBeGreaterThanOrEqual(1);
        }
      }),
      { numRuns: 500 },
    );
  });
});
