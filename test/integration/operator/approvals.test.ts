import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Store } from '@kadre/store';
import { approvalTools, KADRE_ACCOUNT, question, run, startApprovalsBed, type ApprovalsBed } from './approvals-bed.ts';
import { conditionOf, eventually, field, KADRE, startMs } from './bed.ts';

let bed: ApprovalsBed;
let operator: Awaited<ReturnType<ApprovalsBed['startOperator']>>;
let namespace: string;
let count = 0;

beforeAll(async () => {
  bed = await startApprovalsBed();
  operator = await bed.startOperator();
}, startMs);
afterAll(() => bed.stop());

beforeEach(async () => {
  namespace = await bed.namespace(`approvals-${++count}`);
  const everybody = ['--clusterrole=kadre-approver', '--group=system:authenticated'];
  await bed.kubectl(['-n', namespace, 'create', 'rolebinding', 'approvers', ...everybody]);
});

const tools = approvalTools(() => ({ bed, namespace }));
const { NAME, request, ask, asked, decide, taken, became, live, kubectl, startRun, say, runRef } = tools;

const yes = (by: string, more: object = {}) => ({ decision: 'approved', decidedBy: by, ...more });
const no = (by: string) => ({ decision: 'rejected', decidedBy: by });
const form = { schema: { type: 'object', required: ['tone'], properties: { tone: { enum: ['dry', 'warm'] } } } };

interface Told {
  type: string;
  reason: string;
  note: string;
  regarding: { kind: string };
}

const told = (reason: string): Promise<Told> =>
  eventually(`the event ${reason}`, async () => {
    const events = (await bed.list('events.k8s.io/v1', 'Event', namespace)) as unknown as Told[];
    return events.find((event) => event.reason === reason);
  });

describe('an Approval', () => {
  test('shows what is asked and of whom, is found by its Run, and belongs to it', async () => {
    await ask({
      policy: { groups: ['editors'], users: ['ann'], otherThanRequester: true, form },
      requestedBy: 'bob',
      expiresAt: Date.parse('2099-01-01T00:00:00Z'),
    });
    const approval = await asked();
    expect(approval['spec']).toEqual({
      ...question,
      groups: ['editors'],
      users: ['ann'],
      otherThanRequester: true,
      form,
      requestedBy: 'bob',
      expiresAt: '2099-01-01T00:00:00.000Z',
    });
    expect(await kubectl(['get', 'approvals', '-l', 'kadre.dev/run-name=first', '-o', 'name'])).toBe(
      `approval.kadre.dev/${NAME}\n`,
    );
    await became('Pending');
    const table = await kubectl(['get', 'kappr', '-o', 'wide']);
    expect(table).toMatch(/NAME +RUN +STEP +PHASE +DECIDED BY +ASKS +MESSAGE +AGE/);
    expect(table).toMatch(/first +sign-off +Pending +Publish\? +Waits for a decision by group editors or user ann/);
    expect(await told('ApprovalRequested')).toMatchObject({ regarding: { kind: 'Run' } });

    await bed.client.delete(runRef());
    await eventually('the Approval gone with its Run', async () => (await live()) === undefined);
  }, 60_000);

  test.each([
    ['approved', yes('ann'), 'Approved', { approved: true, by: 'ann' }],
    ['rejected', no('ann'), 'Rejected', { approved: false, by: 'ann' }],
    ['approved with an answer', yes('ann', { answer: { tone: 'dry' } }), 'Approved', { answer: { tone: 'dry' } }],
  ])('is %s once, and tells who did it and when', async (_, spec, phase, decision) => {
    const heard: string[] = [];
    const unsubscribe = bed.store.subscribe('decisions', (key) => heard.push(key));
    const key = await ask();
    await asked();
    await decide('ann', [], spec);
    const { at, ...rest } = await taken(key);
    expect(rest).toMatchObject(decision);
    const over = await became(phase);
    expect(over['status']).toMatchObject({ decidedBy: 'ann', decidedAt: new Date(at).toISOString() });
    expect(conditionOf(over, 'Accepted')).toMatchObject({ status: 'True', reason: phase });
    expect(conditionOf(over, 'Ready')?.status).toBe('True');
    expect(await told(phase)).toMatchObject({ type: 'Normal', regarding: { kind: 'Approval' } });
    expect(heard).toContain(key);
    unsubscribe();

    await expect(decide('bob', [], no('bob'))).rejects.toThrow('nobody waits for this decision any more');
  });

  test('is made for each call that an agent asks for, and for its question; each is decided by itself, and ends with the run', async () => {
    const uid = await startRun();
    const words = { form: { schema: { type: 'string' } } };
    const asks = [2, 3, 4].map((number) =>
      request(uid, {
        key: `${uid}/sign-off/1/${number}`,
        call: { number, hash: 'h' },
        name: `first-call-${number}`,
        policy: number === 3 ? words : {},
      }),
    );
    for (const one of asks) await bed.store.askApproval(one);
    const at = (number: number) => ({ apiVersion: KADRE, kind: 'Approval', namespace, name: `first-call-${number}` });
    const phases = (wanted: string[]) =>
      eventually(`the Approvals ${wanted.join(', ')}`, async () => {
        const all = await Promise.all([2, 3, 4].map((number) => bed.get(at(number))));
        const seen = all.map((one) => field(one, 'status.phase'));
        return seen.join() === wanted.join() ? all : undefined;
      });
    const [one] = await phases(['Pending', 'Pending', 'Pending']);
    expect(one?.['spec']).toMatchObject({ step: 'sign-off', attempt: 1, call: 2 });
    const patch = (number: number, spec: object) =>
      kubectl([
        'patch',
        'approval',
        `first-call-${number}`,
        '--type=merge',
        '-p',
        JSON.stringify({ spec }),
        '--as',
        'ann',
      ]);
    await patch(3, yes('ann', { answer: 'Red.' }));
    expect(await taken(`${uid}/sign-off/1/3`)).toMatchObject({ approved: true, by: 'ann', answer: 'Red.' });
    await expect(patch(2, { call: 4 })).rejects.toThrow('what is asked stays as it is');
    await patch(2, no('ann'));
    await phases(['Rejected', 'Approved', 'Pending']);
    await say(uid, { phase: 'Cancelled' }, { closed: true });
    await phases(['Rejected', 'Approved', 'Withdrawn']);
  }, 60_000);

  test('whose answer does not fit the form is not taken, and can be mended', async () => {
    const key = await ask({ policy: { form } });
    await asked();
    await decide('ann', [], yes('ann', { answer: { tone: 'loud' } }));
    const ref = { apiVersion: KADRE, kind: 'Approval', namespace, name: NAME };
    const refused = await bed.condition(ref, 'Accepted', 'False', 'InvalidAnswer');
    expect(conditionOf(refused, 'Accepted')?.message).toBe(
      'The decision was not taken: answer.tone must be equal to one of the allowed values: mend spec.answer.',
    );
    expect(field(refused, 'status.phase')).toBe('Pending');
    expect((await bed.store.approval(key))?.state).toBe('open');
    expect(await told('InvalidAnswer')).toMatchObject({ type: 'Warning' });

    await decide('ann', [], { answer: { tone: 'warm' } });
    expect(await taken(key)).toMatchObject({ approved: true, by: 'ann', answer: { tone: 'warm' } });
    await became('Approved');
  }, 60_000);

  test.each([
    ['Withdrawn', undefined],
    ['Expired', Date.parse('2026-01-01T00:00:00Z')],
  ])('that nobody waits for any more is %s, and stays to be seen', async (phase, expiresAt) => {
    const key = await ask(expiresAt === undefined ? {} : { expiresAt });
    await asked();
    const [uid = ''] = key.split('/');
    await say(uid, { phase: 'Failed' }, { withdraw: [key], closed: true });
    expect(conditionOf(await became(phase), 'Ready')?.status).toBe('True');
    await expect(decide('ann', [], yes('ann'))).rejects.toThrow('nobody waits for this decision any more');
  });

  test('comes back when somebody deletes it, and can then be decided', async () => {
    const key = await ask();
    const first = await asked();
    await kubectl(['delete', 'approval', NAME]);
    await asked(first.metadata.uid);
    await decide('ann', [], yes('ann'));
    expect(await taken(key)).toMatchObject({ approved: true });
  }, 60_000);

  test('does not come back once it is decided', async () => {
    await ask();
    await asked();
    await decide('ann', [], yes('ann'));
    await became('Approved');
    await kubectl(['delete', 'approval', NAME]);
    // The operator has seen the deletion when it has made the next one.
    const uid = (await bed.get(runRef()))?.metadata.uid ?? '';
    const next = request(uid, { key: `${uid}/next/1`, step: 'next', name: 'first-next' });
    await say(uid, { phase: 'Waiting' }, { approvals: [next] });
    await eventually('the next one', () =>
      bed.get({ apiVersion: KADRE, kind: 'Approval', namespace, name: 'first-next' }),
    );
    expect(await live()).toBeUndefined();
  }, 60_000);

  test('whose name is taken says so on the Run, and is made when the name is free', async () => {
    const stranger = { apiVersion: KADRE, kind: 'Approval', metadata: { name: NAME }, spec: question };
    await kubectl(['create', '-f', '-', ...KADRE_ACCOUNT], JSON.stringify(stranger));
    const uid = (await live())?.metadata.uid;
    await ask();
    expect(await told('ApprovalNotRequested')).toMatchObject({ type: 'Warning', regarding: { kind: 'Run' } });
    expect(await live()).not.toHaveProperty('status.phase');
    await kubectl(['delete', 'approval', NAME]);
    await asked(uid);
  }, 60_000);

  test('that asks something else than the engine is made anew', async () => {
    const uid = await startRun();
    const owner = { apiVersion: KADRE, kind: 'Run', name: 'first', uid, controller: true };
    const forged = {
      ...{ apiVersion: KADRE, kind: 'Approval', metadata: { name: NAME, ownerReferences: [owner] } },
      spec: { ...question, message: 'Lunch?', ...yes('eve') },
    };
    await kubectl(['create', '-f', '-', ...KADRE_ACCOUNT], JSON.stringify(forged));
    const before = await asked();
    await say(uid, { phase: 'Waiting' }, { approvals: [request(uid)] });
    expect(field(await asked(before.metadata.uid), 'spec.message')).toBe('Publish?');
    expect((await bed.store.approval(request(uid).key))?.state).toBe('open');
  }, 60_000);
});

describe('a decision survives', () => {
  /** From the decision on, the operator reaches its store no more. */
  function dying(store: Store, records: boolean, died: () => void): Store {
    let dead = false;
    return {
      ...store,
      approval: (key) => (dead ? Promise.reject(new Error('killed')) : store.approval(key)),
      decideApproval: async (...args) => {
        if (records && !dead) await store.decideApproval(...args);
        dead = true;
        died();
        throw new Error('killed');
      },
    };
  }

  test.each([
    ['before it is recorded', false],
    ['after it is recorded and before that is told', true],
  ])('an operator that dies %s', async (_, records) => {
    await bed.stopOperator(operator);
    const death = Promise.withResolvers<undefined>();
    const first = await bed.startOperator((store) => dying(store, records, () => death.resolve(undefined)));
    const key = await ask();
    await asked();
    await decide('ann', [], yes('ann'));
    await death.promise;
    await bed.stopOperator(first);
    operator = await bed.startOperator();
    expect(await taken(key)).toMatchObject({ approved: true, by: 'ann' });
    expect((await became('Approved'))['status']).toMatchObject({ decidedBy: 'ann' });
  });

  test('that nobody was there to take', async () => {
    const key = await ask();
    await asked();
    await bed.stopOperator(operator);
    await decide('ann', [], no('ann'));
    operator = await bed.startOperator();
    expect(await taken(key)).toMatchObject({ approved: false, by: 'ann' });
  }, 60_000);

  test('two operators at once: it is taken once, and both tell the same', async () => {
    const second = await bed.startOperator();
    const answers: boolean[] = [];
    const third = await bed.startOperator((store) => ({
      ...store,
      decideApproval: async (...args) => {
        const first = await store.decideApproval(...args);
        answers.push(first, await store.decideApproval(args[0], { ...args[1], by: 'late' }));
        return first;
      },
    }));
    const key = await ask();
    await asked();
    await decide('ann', [], yes('ann'));
    expect(await taken(key)).toMatchObject({ by: 'ann' });
    expect((await became('Approved'))['status']).toMatchObject({ decidedBy: 'ann' });
    expect(answers.filter((first) => first).length).toBeLessThan(2);
    await Promise.all([second, third].map((one) => bed.stopOperator(one)));
  }, 60_000);
});

describe('the API server', () => {
  interface Case {
    policy?: Parameters<typeof request>[1];
    by: [user: string, groups: string[]];
    spec: object;
    message?: string;
  }
  const editors = { policy: { groups: ['editors', 'chiefs'] } };
  const others = { policy: { otherThanRequester: true }, requestedBy: 'bob' };
  test.each<[string, Case]>([
    ['lets whoever is in a group decide', { policy: editors, by: ['ann', ['writers', 'chiefs']], spec: yes('ann') }],
    [
      'refuses who is in none of the groups',
      {
        policy: editors,
        by: ['eve', ['writers']],
        spec: yes('eve'),
        message: 'eve may not decide this: ask group editors or group chiefs',
      },
    ],
    [
      'lets a user decide who is asked by name',
      { policy: { policy: { users: ['ann'] } }, by: ['ann', []], spec: no('ann') },
    ],
    [
      'refuses who is not asked',
      {
        policy: { policy: { users: ['ann'] } },
        by: ['eve', []],
        spec: no('eve'),
        message: 'eve may not decide this: ask user ann',
      },
    ],
    [
      'lets a user decide beside a group',
      { policy: { policy: { groups: ['editors'], users: ['ann'] } }, by: ['ann', []], spec: yes('ann') },
    ],
    ['lets anybody decide with the right to, if nobody is named', { by: ['eve', []], spec: yes('eve') }],
    [
      'refuses to sign with the name of another',
      { policy: editors, by: ['eve', ['editors']], spec: yes('ann'), message: 'sign with your own name, which is eve' },
    ],
    [
      'refuses whoever asked for the run',
      {
        policy: others,
        by: ['bob', []],
        spec: yes('bob'),
        message: 'bob asked for this run: somebody else must decide',
      },
    ],
    ['lets somebody else than the requester decide', { policy: others, by: ['ann', []], spec: yes('ann') }],
    [
      'refuses everybody if nobody knows who asked',
      {
        policy: { policy: { otherThanRequester: true } },
        by: ['ann', []],
        spec: yes('ann'),
        message: 'somebody else than the requester must decide, and the Run names none',
      },
    ],
    [
      'refuses another question',
      { by: ['ann', []], spec: { ...yes('ann'), message: 'Lunch?' }, message: 'what is asked stays as it is' },
    ],
    [
      'refuses to widen who is asked',
      {
        policy: editors,
        by: ['eve', []],
        spec: { ...yes('eve'), groups: null },
        message: 'what is asked stays as it is',
      },
    ],
    ['refuses a decision of nobody', { by: ['ann', []], spec: { decision: 'approved' }, message: 'say who decides' }],
  ])('%s', async (_, { policy = {}, by: [user, groups], spec, message }) => {
    await ask(policy);
    await asked();
    const decision = decide(user, groups, spec);
    if (message === undefined) await expect(decision).resolves.toContain('patched');
    else await expect(decision).rejects.toThrow(message);
  });

  test('refuses a second decision before the first is looked at', async () => {
    const key = await ask();
    await asked();
    await bed.stopOperator(operator);
    await decide('ann', [], yes('ann'));
    await expect(decide('bob', [], no('bob'))).rejects.toThrow('a decision stands once it is made');
    operator = await bed.startOperator();
    expect(await taken(key)).toMatchObject({ approved: true, by: 'ann' });
  }, 60_000);

  test('lets nobody but Kadre make an Approval, and nobody but Kadre say what became of it', async () => {
    const mine = { apiVersion: KADRE, kind: 'Approval', metadata: { name: 'mine' }, spec: question };
    await expect(kubectl(['create', '-f', '-'], JSON.stringify(mine))).rejects.toThrow('only Kadre makes Approvals');
    await ask();
    await asked();
    const status = JSON.stringify({ status: { phase: 'Approved' } });
    const forged = ['patch', 'approval', NAME, '--subresource=status', '--type=merge', '-p', status, '--as', 'ann'];
    await expect(kubectl(forged)).rejects.toThrow(/cannot \w+ resource "approvals\/status"/);
  }, 60_000);

  test('lets nobody decide who has no right to Approvals', async () => {
    await ask();
    await asked();
    await kubectl(['delete', 'rolebinding', 'approvers']);
    await eventually('the right gone', async () =>
      decide('ann', [], yes('ann')).then(
        () => false,
        (error: unknown) => /cannot \w+ resource "approvals"/.test(String(error)),
      ),
    );
  }, 60_000);

  test('lets people ask for a run in their own name alone, and Kadre in anybody’s', async () => {
    await kubectl(['create', 'rolebinding', 'bob', '--clusterrole=kadre-editor', '--user=bob']);
    await kubectl([
      'create',
      'rolebinding',
      'kadre',
      '--clusterrole=kadre-editor',
      '--group=system:serviceaccounts:kadre-system',
    ]);
    const create = (requestedBy: string, ...as: string[]) => {
      const object = { ...run('asked'), spec: { ...run('asked').spec, requestedBy } };
      return kubectl(['create', '--dry-run=server', '-f', '-', ...as], JSON.stringify(object));
    };
    await expect(create('bob', '--as', 'bob')).resolves.toContain('created');
    await expect(create('ann', '--as', 'bob')).rejects.toThrow('put your own name, which is bob, or leave it out');
    await expect(create('ann', ...KADRE_ACCOUNT)).resolves.toContain('created');
    await expect(create('ann')).rejects.toThrow('spec.requestedBy: put your own name');
  }, 60_000);
});
