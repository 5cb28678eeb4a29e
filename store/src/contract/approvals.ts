import { beforeEach, describe, expect, test } from '@jest/globals';
import { approval, event, eventually, submission, type StoreUnderTest } from './fixtures.ts';

export function describeApprovals(it: () => StoreUnderTest): void {
  const yes = { approved: true, answer: { colour: 'red' }, by: 'bob', at: 1_700_000_000_001 };
  const no = { approved: false, by: 'eve', at: 1_700_000_000_002 };
  const keys = async (): Promise<string[]> => (await it().store.openApprovals()).map(({ key }) => key);
  beforeEach(async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')], { approvals: [approval('u1', 's'), approval('u1', 't')] });
  });

  test('what is asked is open and comes back as it was asked', async () => {
    expect(await it().store.approval('u1/s/1')).toEqual({ ...approval('u1', 's'), state: 'open' });
    expect(await keys()).toEqual(['u1/s/1', 'u1/t/1']);
    expect(await it().store.approvalsOfRun('u1')).toHaveLength(2);
    expect(await it().store.approval('nothing')).toBeUndefined();
  });

  test('the first decision counts, later ones are told so', async () => {
    expect(await it().store.decideApproval('u1/s/1', yes)).toBe(true);
    expect(await it().store.decideApproval('u1/s/1', no)).toBe(false);
    expect(await it().store.decideApproval('nothing', no)).toBe(false);
    expect(await it().store.approval('u1/s/1')).toEqual({ ...approval('u1', 's'), state: 'decided', decision: yes });
    expect(await keys()).toEqual(['u1/t/1']);
  });

  test('of two who decide at once one is the first', async () => {
    const second = await it().second();
    const answers = await Promise.all([it().store.decideApproval('u1/s/1', yes), second.decideApproval('u1/s/1', no)]);
    expect(answers.filter(Boolean)).toHaveLength(1);
    await second.close();
  });

  test('what was withdrawn cannot be decided any more', async () => {
    await it().store.append('u1', 1, [event('B')], { withdraw: ['u1/s/1'] });
    expect(await it().store.decideApproval('u1/s/1', yes)).toBe(false);
    expect(await it().store.approval('u1/s/1')).toEqual({ ...approval('u1', 's'), state: 'withdrawn' });
    expect(await keys()).toEqual(['u1/t/1']);
  });

  test('what was decided before it was withdrawn stays decided', async () => {
    await it().store.decideApproval('u1/s/1', yes);
    await it().store.append('u1', 1, [event('B')], { withdraw: ['u1/s/1'] });
    expect((await it().store.approval('u1/s/1'))?.decision).toEqual(yes);
  });

  test('asking again changes nothing', async () => {
    await it().store.decideApproval('u1/s/1', yes);
    await it().store.append('u1', 1, [], { approvals: [{ ...approval('u1', 's'), message: 'other' }] });
    expect(await it().store.approval('u1/s/1')).toMatchObject({ message: 'Send it?', decision: yes });
  });

  describe('asked by an agent', () => {
    const asked = { ...approval('u1', 's'), key: 'u1/s/1/3', call: { number: 3, hash: 'h' }, name: 'approval-s-3' };

    test('it is open like any other, and a listener hears of it', async () => {
      const heard: string[] = [];
      const stop = it().store.subscribe('approvals', (key) => heard.push(key));
      expect(await it().store.askApproval(asked)).toEqual({ ...asked, state: 'open' });
      await eventually(() => heard.includes(asked.key) || undefined);
      stop();
      expect(await keys()).toEqual(['u1/s/1', 'u1/t/1', 'u1/s/1/3']);
    });

    test('two who ask at once have asked once, and both are told what was decided since', async () => {
      const second = await it().second();
      const both = [it().store.askApproval(asked), second.askApproval({ ...asked, message: 'other' })];
      const [one, other] = await Promise.all(both);
      expect(one).toEqual(other);
      await it().store.decideApproval(asked.key, yes);
      expect(await second.askApproval(asked)).toMatchObject({ state: 'decided', decision: yes });
      expect(await keys()).toEqual(['u1/s/1', 'u1/t/1']);
      await second.close();
    });

    test('it can be withdrawn, once and for all, unless it is decided', async () => {
      await it().store.askApproval(asked);
      await it().store.withdrawApproval(asked.key);
      expect(await it().store.askApproval(asked)).toMatchObject({ state: 'withdrawn' });
      await it().store.decideApproval('u1/s/1', yes);
      await it().store.withdrawApproval('u1/s/1');
      await it().store.withdrawApproval('nothing');
      expect(await it().store.approval('u1/s/1')).toMatchObject({ state: 'decided' });
    });

    test('whatever is open ends with the run, and nothing can be asked after it', async () => {
      await it().store.submitRun(submission('u2'));
      await it().store.append('u2', 0, [event('A')], { approvals: [approval('u2', 's')] });
      await it().store.askApproval(asked);
      await it().store.decideApproval('u1/t/1', yes);
      await it().store.append('u1', 1, [event('B')], { closed: true });
      expect(await keys()).toEqual(['u2/s/1']);
      expect((await it().store.approvalsOfRun('u1')).map(({ state }) => state)).toEqual([
        'withdrawn',
        'decided',
        'withdrawn',
      ]);
      expect(await it().store.askApproval({ ...asked, key: 'u1/s/1/4' })).toBeUndefined();
      expect(
        await it().store.askApproval({ ...asked, key: 'u3/s/1/4', run: { ...asked.run, uid: 'u3' } }),
      ).toBeUndefined();
    });
  });
}
