import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Balance, Charge, Count, Reservation, Shortfall } from '../ledger.ts';
import { submission, usage, type StoreUnderTest } from './fixtures.ts';

const MONTHLY = 'namespace/team/budget/monthly';

const charge = (limit: Charge['limit'], account = MONTHLY): Charge => ({ account, period: '2026-11', limit });

const reservation = (id: string, amount: Partial<Reservation['amount']>, ...charges: Charge[]): Reservation => ({
  id,
  expiresAt: 1_000,
  amount: { costNanoUsd: 0, tokens: 0, ...amount },
  charges,
});

const count = (costNanoUsd: number, tokens: number, requests: number): Count => ({ costNanoUsd, tokens, requests });
const NOTHING = count(0, 0, 0);
const GRANTED = { granted: true, passed: [] };

export function describeLedger(it: () => StoreUnderTest): void {
  const balance = async (account = MONTHLY, now = 0): Promise<Balance> => {
    const [found] = await it().store.balances([{ account, period: '2026-11' }], now);
    if (!found) throw new Error('there is no balance');
    return found;
  };
  const isKnown = async (account: string): Promise<boolean> => {
    const { spent, reserved } = await balance(account);
    return spent.requests + reserved.requests > 0;
  };

  test('what is set aside becomes what was spent, and the usage is recorded with it', async () => {
    const { store } = it();
    expect(await store.reserve(reservation('c1', { costNanoUsd: 70, tokens: 7 }, charge({})))).toEqual(GRANTED);
    const known = { account: MONTHLY, period: '2026-11', unpricedCalls: 0, refusals: 0 };
    expect(await balance()).toEqual({ ...known, spent: NOTHING, reserved: count(70, 7, 1) });
    await store.settle('c1', { costNanoUsd: 30, tokens: 3 }, usage('c1', 30));
    expect(await balance()).toEqual({ ...known, spent: count(30, 3, 1), reserved: NOTHING });
    expect((await store.usage('u1', 's', 1)).costNanoUsd).toBe(30);
  });

  test('what is given back was never there', async () => {
    const { store } = it();
    await store.reserve(reservation('c1', { costNanoUsd: 70 }, charge({ requests: 1 })));
    await store.release('c1');
    await store.release('c1');
    expect(await balance()).toMatchObject({ spent: NOTHING, reserved: NOTHING });
    expect(await store.reserve(reservation('c2', { costNanoUsd: 70 }, charge({ requests: 1 })))).toEqual(GRANTED);
  });

  test.each<[string, Charge['limit'], Omit<Shortfall, 'account' | 'period'>]>([
    ['money', { costNanoUsd: 100 }, { what: 'costNanoUsd', limit: 100, spent: 40, reserved: 60 }],
    ['tokens', { tokens: 10 }, { what: 'tokens', limit: 10, spent: 4, reserved: 6 }],
    ['requests', { requests: 2 }, { what: 'requests', limit: 2, spent: 1, reserved: 1 }],
  ])('a limit of %s is refused when it is used up, and says what stands in the way', async (_, limit, shortfall) => {
    const { store } = it();
    await store.reserve(reservation('c1', { costNanoUsd: 60, tokens: 6 }, charge(limit)));
    await store.settle('c1', { costNanoUsd: 40, tokens: 4 });
    expect(await store.reserve(reservation('c2', { costNanoUsd: 60, tokens: 6 }, charge(limit)))).toEqual(GRANTED);
    const refused = await store.reserve(reservation('c3', { costNanoUsd: 1, tokens: 1 }, charge(limit)));
    expect(refused).toEqual({ granted: false, account: MONTHLY, period: '2026-11', ...shortfall });
    expect(await balance()).toMatchObject({ refusals: 0, reserved: { requests: 1 } });
  });

  test('what costs nothing passes a limit of money that is used up, or that is nothing', async () => {
    const { store } = it();
    expect(await store.reserve(reservation('c1', { tokens: 5 }, charge({ costNanoUsd: 0 })))).toEqual(GRANTED);
    const dear = await store.reserve(reservation('c2', { costNanoUsd: 1 }, charge({ costNanoUsd: 0 })));
    expect(dear).toMatchObject({ granted: false, what: 'costNanoUsd', limit: 0 });
  });

  test('all accounts are charged or none, and the first whose limit is passed is named', async () => {
    const { store } = it();
    const [wide, tight, tighter] = [
      charge({ tokens: 100 }),
      charge({ tokens: 5 }, 'run/u1'),
      charge({ tokens: 1 }, 'x'),
    ];
    const refused = await store.reserve(reservation('c1', { tokens: 6 }, wide, tight, tighter));
    expect(refused).toMatchObject({ granted: false, account: 'run/u1', limit: 5 });
    expect((await balance()).reserved).toEqual(NOTHING);
    expect(await store.reserve(reservation('c2', { tokens: 1 }, wide, tight, tighter))).toEqual(GRANTED);
    for (const account of [MONTHLY, 'run/u1', 'x']) expect((await balance(account)).reserved.tokens).toBe(1);
  });

  test('a lenient limit refuses nothing, and tells when it is passed', async () => {
    const lenient = { ...charge({ costNanoUsd: 10 }), lenient: true };
    const other = { ...charge({ tokens: 1 }, 'other'), lenient: true };
    const passed = await it().store.reserve(reservation('c1', { costNanoUsd: 11, tokens: 2 }, lenient, other));
    expect(passed).toMatchObject({ granted: true, passed: [{ account: MONTHLY, limit: 10 }, { account: 'other' }] });
    expect(await balance()).toMatchObject({ reserved: count(11, 2, 1), refusals: 0 });
  });

  test('periods are counted apart', async () => {
    const { store } = it();
    await store.reserve(reservation('c1', { tokens: 5 }, charge({ tokens: 5 })));
    const december = { ...charge({ tokens: 5 }), period: '2026-12' };
    expect(await store.reserve(reservation('c2', { tokens: 5 }, december))).toEqual(GRANTED);
  });

  test('a call that nobody could price is counted as such, and never as free', async () => {
    await it().store.reserve(reservation('c1', { tokens: 5 }, charge({})));
    await it().store.settle('c1', { costNanoUsd: null, tokens: 4 });
    expect(await balance()).toMatchObject({ spent: count(0, 4, 1), unpricedCalls: 1 });
  });

  test('a call may come to more than was thought; it counts in full', async () => {
    await it().store.reserve(reservation('c1', { costNanoUsd: 5 }, charge({ costNanoUsd: 10 })));
    await it().store.settle('c1', { costNanoUsd: 50, tokens: 0 });
    const refused = await it().store.reserve(reservation('c2', { costNanoUsd: 1 }, charge({ costNanoUsd: 10 })));
    expect(refused).toMatchObject({ granted: false, spent: 50 });
  });

  describe('asked twice', () => {
    test('whoever reserves, settles or gives back again changes nothing', async () => {
      const { store } = it();
      const once = reservation('c1', { costNanoUsd: 6 }, charge({ costNanoUsd: 10 }));
      expect(await Promise.all([store.reserve(once), store.reserve(once)])).toEqual([GRANTED, GRANTED]);
      expect(await balance()).toMatchObject({ reserved: count(6, 0, 1) });
      const spent = { costNanoUsd: 4, tokens: 1 };
      await Promise.all([store.settle('c1', spent, usage('c1', 4)), store.settle('c1', spent, usage('c1', 4))]);
      await store.release('c1');
      expect(await store.reserve(once)).toEqual(GRANTED);
      expect(await balance()).toMatchObject({ spent: count(4, 1, 1), reserved: NOTHING });
    });

    test('a refusal that is told of twice counts once', async () => {
      for (const id of ['c1', 'c1', 'c2']) await it().store.countRefusal(id, charge({}));
      expect(await balance()).toMatchObject({ refusals: 2, spent: NOTHING, reserved: NOTHING });
    });

    test('a settlement without a reservation records the usage alone', async () => {
      await it().store.settle('c1', { costNanoUsd: 4, tokens: 1 }, usage('c1', 4));
      expect(await isKnown(MONTHLY)).toBe(false);
      expect((await it().store.usage('u1', 's', 1)).costNanoUsd).toBe(4);
    });
  });

  describe('a reservation that nobody settled', () => {
    test('counts as spent at its worst once it has expired, and for nothing less before', async () => {
      const { store } = it();
      await store.reserve(reservation('c1', { costNanoUsd: 6, tokens: 2 }, charge({ costNanoUsd: 10 })));
      expect(await balance(MONTHLY, 999)).toMatchObject({ spent: NOTHING, reserved: count(6, 2, 1) });
      expect(await balance(MONTHLY, 1_000)).toMatchObject({ spent: count(6, 2, 1), reserved: NOTHING });
      const refused = await store.reserve(reservation('c2', { costNanoUsd: 5 }, charge({ costNanoUsd: 10 })));
      expect(refused).toMatchObject({ granted: false });
    });

    test('is replaced by what it was, should somebody come late', async () => {
      const { store } = it();
      await store.reserve(reservation('c1', { costNanoUsd: 6, tokens: 2 }, charge({})));
      await store.settle('c1', { costNanoUsd: 1, tokens: 1 });
      expect(await balance(MONTHLY, 5_000)).toMatchObject({ spent: count(1, 1, 1), reserved: NOTHING });
    });

    test('stays spent when it is forgotten', async () => {
      const { store } = it();
      await store.reserve(reservation('c1', { costNanoUsd: 6, tokens: 2 }, charge({})));
      await store.reserve({ ...reservation('c2', { costNanoUsd: 3 }, charge({})), expiresAt: 9_000 });
      await store.prune(1_001);
      await store.settle('c1', { costNanoUsd: 1, tokens: 1 });
      expect(await balance()).toMatchObject({ spent: count(6, 2, 1), reserved: count(3, 0, 1) });
    });
  });

  test('periods that are long over are forgotten, those without an end stay', async () => {
    const { store } = it();
    await store.reserve(reservation('c1', { tokens: 1 }, { ...charge({}, 'old'), endsAt: 50 }, charge({}, 'total')));
    await store.settle('c1', { costNanoUsd: 0, tokens: 1 });
    await store.prune(50);
    expect(await isKnown('old')).toBe(true);
    await store.prune(51);
    expect([await isKnown('old'), await isKnown('total')]).toEqual([false, true]);
  });

  test('accounts of a run end with it', async () => {
    const { store } = it();
    for (const uid of ['u1', 'u10']) {
      await store.submitRun(submission(uid));
      const own = [charge({}, `run/${uid}`), charge({}, `run/${uid}/step/s/1`)];
      await store.reserve(reservation(`of-${uid}`, { tokens: 1 }, ...own, charge({})));
    }
    await store.append('u1', 0, [{ at: 1, type: 'RunSucceeded', data: {} }], { closed: true });
    await store.deleteRun('u1');
    await store.settle('of-u1', { costNanoUsd: 0, tokens: 1 });
    for (const gone of ['run/u1', 'run/u1/step/s/1']) expect(await isKnown(gone)).toBe(false);
    for (const kept of ['run/u10', 'run/u10/step/s/1', MONTHLY]) expect(await isKnown(kept)).toBe(true);
  });

  test('balances come in the order asked for, those that were never charged as nothing', async () => {
    const { store } = it();
    await store.reserve(reservation('c1', { tokens: 1 }, charge({}, 'b'), charge({}, 'a')));
    const asked = ['b', 'nobody', 'a'].map((account) => ({ account, period: '2026-11' }));
    const found = (await store.balances(asked, 0)).map(({ account, reserved }) => [account, reserved.tokens]);
    expect(found).toEqual([
      ['b', 1],
      ['nobody', 0],
      ['a', 1],
    ]);
    expect(await store.balances([], 0)).toEqual([]);
  });

  test('sums stay where numbers are exact, however dear the calls', async () => {
    const { store } = it();
    const dear = Number.MAX_SAFE_INTEGER;
    for (const id of ['c1', 'c2', 'c3']) await store.reserve(reservation(id, { costNanoUsd: dear }, charge({})));
    expect((await balance()).reserved.costNanoUsd).toBe(dear);
    for (const id of ['c1', 'c2']) await store.settle(id, { costNanoUsd: dear, tokens: 0 });
    expect((await balance()).spent.costNanoUsd).toBe(dear);
  });

  test('what was promised survives', async () => {
    await it().store.reserve(reservation('c1', { costNanoUsd: 6 }, charge({ costNanoUsd: 10 })));
    const again = await it().reopen();
    const more = reservation('c2', { costNanoUsd: 6 }, charge({ costNanoUsd: 10 }));
    expect(await again.reserve(more)).toMatchObject({ granted: false, reserved: 6 });
  });

  test('two that ask at once through doors of their own never pass the limit together', async () => {
    const second = await it().second();
    const asked = Array.from({ length: 60 }, (_, index) =>
      (index % 2 ? second : it().store).reserve(
        reservation(
          `c${index}`,
          { costNanoUsd: 3, tokens: index },
          charge({}, `side-${index % 5}`),
          charge({ costNanoUsd: 100 }),
        ),
      ),
    );
    const granted = (await Promise.all(asked)).filter((result) => result.granted);
    expect(granted).toHaveLength(33);
    expect(await balance()).toMatchObject({ reserved: { costNanoUsd: 99, requests: 33 } });
    await second.close();
  });

  test('is a ledger on paper, whatever happens in whatever order', async () => {
    let book = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
        const paper = new Paper(`book-${++book}`);
        for (const one of operations) {
          const ours = await perform(it().store, paper.prefix, one);
          expect(ours).toEqual(paper.perform(one));
        }
        expect(await it().store.balances(paper.accounts(), paper.now)).toEqual(paper.balances());
      }),
      { numRuns: 40 },
    );
  });
}

type Operation =
  | { do: 'reserve'; id: number; accounts: number[]; limit: number; lenient: boolean; amount: number; life: number }
  | { do: 'settle'; id: number; cost: number | null }
  | { do: 'release'; id: number }
  | { do: 'wait'; ms: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    do: fc.constant('reserve' as const),
    id: fc.nat(9),
    accounts: fc.uniqueArray(fc.nat(3), { minLength: 1 }),
    limit: fc.nat(60),
    lenient: fc.boolean(),
    amount: fc.nat(20),
    life: fc.nat(50),
  }),
  fc.record({ do: fc.constant('settle' as const), id: fc.nat(9), cost: fc.option(fc.nat(30)) }),
  fc.record({ do: fc.constant('release' as const), id: fc.nat(9) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(40) }),
);

let clock = 0;

async function perform(store: StoreUnderTest['store'], prefix: string, one: Operation): Promise<unknown> {
  const id = 'id' in one ? `${prefix}/${one.id}` : '';
  switch (one.do) {
    case 'reserve':
      return store.reserve({
        id,
        expiresAt: clock + one.life,
        amount: { costNanoUsd: one.amount, tokens: 0 },
        charges: one.accounts.map((account) => ({
          ...charge({ costNanoUsd: one.limit }, `${prefix}/${account}`),
          lenient: one.lenient,
        })),
      });
    case 'settle':
      return store.settle(id, { costNanoUsd: one.cost, tokens: 1 });
    case 'release':
      return store.release(id);
    case 'wait':
      clock += one.ms;
      return undefined;
  }
}

/** The ledger as one would keep it by hand: a list of calls, from which everything is added up anew. */
class Paper {
  readonly prefix: string;
  readonly #calls = new Map<
    number,
    { accounts: number[]; amount: number; expiresAt: number; state: 'open' | 'given back' | { cost: number | null } }
  >();

  constructor(prefix: string) {
    this.prefix = prefix;
    clock = 0;
  }

  get now(): number {
    return clock;
  }

  perform(one: Operation): unknown {
    if (one.do === 'wait') return undefined;
    const call = this.#calls.get(one.id);
    if (one.do === 'reserve') return call ? GRANTED : this.#reserve(one);
    if (call?.state === 'open') call.state = one.do === 'settle' ? { cost: one.cost } : 'given back';
    return undefined;
  }

  #reserve({ id, accounts, limit, lenient, amount, life }: Extract<Operation, { do: 'reserve' }>): unknown {
    const passed: Shortfall[] = [];
    for (const account of accounts) {
      const { spent, reserved } = this.#balance(account, -1);
      const used = spent.costNanoUsd + reserved.costNanoUsd;
      if (amount === 0 || used + amount <= limit) continue;
      const shortfall: Shortfall = {
        account: `${this.prefix}/${account}`,
        period: '2026-11',
        what: 'costNanoUsd',
        limit,
        spent: spent.costNanoUsd,
        reserved: reserved.costNanoUsd,
      };
      if (!lenient) return { granted: false, ...shortfall };
      passed.push(shortfall);
    }
    this.#calls.set(id, { accounts, amount, expiresAt: clock + life, state: 'open' });
    return { granted: true, passed };
  }

  accounts(): { account: string; period: string }[] {
    return [0, 1, 2, 3].map((account) => ({ account: `${this.prefix}/${account}`, period: '2026-11' }));
  }

  balances(): Balance[] {
    return [0, 1, 2, 3].map((account) => this.#balance(account, clock));
  }

  #balance(account: number, now: number): Balance {
    const balance: Balance = {
      account: `${this.prefix}/${account}`,
      period: '2026-11',
      spent: { ...NOTHING },
      reserved: { ...NOTHING },
      unpricedCalls: 0,
      refusals: 0,
    };
    for (const { accounts, amount, expiresAt, state } of this.#calls.values()) {
      if (!accounts.includes(account) || state === 'given back') continue;
      const open = state === 'open';
      const side = open && expiresAt > now ? balance.reserved : balance.spent;
      side.costNanoUsd += open ? amount : (state.cost ?? 0);
      side.tokens += open ? 0 : 1;
      side.requests += 1;
      if (!open && state.cost === null) balance.unpricedCalls += 1;
    }
    return balance;
  }
}
