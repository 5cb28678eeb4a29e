import { expect, test } from '@jest/globals';
import type { Decision, DecisionFilter } from '../decisions.ts';
import { submission, type StoreUnderTest } from './fixtures.ts';

const decision = (id: string, at = 1, fields: Partial<Decision> = {}): Decision => ({
  id,
  at,
  kind: 'route',
  namespace: 'team',
  agent: 'writer',
  call: id,
  subject: 'smart',
  chosen: 'large',
  reason: 'it is the first that can answer',
  alternatives: [{ model: 'large', score: 0.5 }, { model: 'small é\u0000' }],
  version: '3',
  ...fields,
});
const ofRun = (uid: string): Pick<Decision, 'run'> => ({ run: { uid, step: 's[1]', attempt: 2 } });

export function describeDecisions(it: () => StoreUnderTest): void {
  const found = async (filter: DecisionFilter): Promise<string[]> =>
    (await it().store.decisions(filter)).map(({ id }) => id);

  test('a decision comes back as it was made', async () => {
    const nothing = decision('d2', 2, { ...ofRun('u1'), kind: 'tool' });
    delete nothing.chosen;
    await it().store.recordDecisions([decision('d1'), nothing]);
    const again = await it().reopen();
    expect(await again.decisions({ namespace: 'team' })).toEqual([nothing, decision('d1')]);
    expect(await again.decisions({ run: 'u1' })).toEqual([nothing]);
  });

  test('one that is recorded twice is there once, as it was first', async () => {
    const second = await it().second();
    await it().store.recordDecisions([decision('d1'), decision('d1', 5)]);
    await Promise.all([
      second.recordDecisions([decision('d1', 6), decision('d2')]),
      it().store.recordDecisions([decision('d2')]),
      it().store.recordDecisions([]),
    ]);
    expect(await second.decisions({ namespace: 'team' })).toEqual([decision('d2'), decision('d1')]);
    await second.close();
  });

  test('they are found by what they have in common, the latest first', async () => {
    await it().store.recordDecisions([
      decision('a', 10),
      decision('b', 20, { agent: 'reader' }),
      decision('c', 30, { subject: 'fast', ...ofRun('u1') }),
      decision('d', 30, { kind: 'tool', ...ofRun('u1') }),
      decision('e', 40, { namespace: 'other' }),
    ]);
    const namespace = 'team';
    expect(await found({ namespace })).toEqual(['d', 'c', 'b', 'a']);
    expect(await found({ namespace, limit: 2 })).toEqual(['d', 'c']);
    expect(await found({ namespace, agent: 'reader' })).toEqual(['b']);
    expect(await found({ namespace, subject: 'smart', kind: 'route' })).toEqual(['b', 'a']);
    expect(await found({ namespace, since: 20, before: 30 })).toEqual(['b']);
    expect(await found({ run: 'u1', kind: 'tool' })).toEqual(['d']);
    expect(await found({ run: 'u2' })).toEqual([]);
  });

  test('those of a run end with it, and the others with time', async () => {
    const { store } = it();
    await store.submitRun(submission('u1'));
    await store.recordDecisions([decision('a', 10), decision('b', 20), decision('c', 10, ofRun('u1'))]);
    await store.prune(20);
    expect(await found({ namespace: 'team' })).toEqual(['b', 'c']);
    await store.append('u1', 0, [{ at: 1, type: 'RunSucceeded', data: {} }], { closed: true });
    await store.deleteRun('u1');
    await store.recordDecisions([decision('d', 30, ofRun('u1')), decision('e', 5)]);
    expect(await found({ namespace: 'team' })).toEqual(['b', 'e']);
  });
}
