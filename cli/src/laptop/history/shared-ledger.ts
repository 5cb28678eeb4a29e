// What Budgets have counted, for all runs of this user: each run has a store of its own, but money is spent once.
import { chmodSync } from 'node:fs';
import { openSqliteStore, type Store } from '@kadre/store';

type Ledger = Pick<
  Store,
  'reserve' | 'settle' | 'release' | 'countRefusal' | 'balances' | 'recordUsage' | 'usage' | 'close'
>;

/** Any number of processes may have it open. */
export function openSharedLedger(path: string): Ledger {
  const store = openSqliteStore(path);
  chmodSync(path, 0o600);
  return store;
}

/** The store of one run, whose calls count for all. */
export function withLedger(store: Store, ledger: Ledger): Store {
  return {
    ...store,
    reserve: (reservation) => ledger.reserve(reservation),
    settle: (id, spent, usage) => ledger.settle(id, spent, usage),
    release: (id) => ledger.release(id),
    countRefusal: (id, charge) => ledger.countRefusal(id, charge),
    balances: (accounts, now) => ledger.balances(accounts, now),
    recordUsage: (record) => ledger.recordUsage(record),
    usage: (run, step, attempt) => ledger.usage(run, step, attempt),
  };
}
