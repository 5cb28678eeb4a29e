// The store for more than one machine: a PostgreSQL database that all replicas of all roles share.
import type { Store } from '../store.ts';
import type { Access } from './access.ts';
import { Appends } from './appends.ts';
import { approvals, jobs } from './asked.ts';
import { Batches } from './batches.ts';
import { conversations } from './conversations.ts';
import { Database } from './database.ts';
import { decisions } from './decisions.ts';
import { engines } from './engines.ts';
import { gateway } from './gateway.ts';
import { Hints } from './hints.ts';
import { journal } from './journal.ts';
import { knowledge } from './knowledge.ts';
import { ledger } from './ledger.ts';
import { log } from './log.ts';
import { published } from './published.ts';
import { runRequests } from './run-requests.ts';
import { runs } from './runs.ts';
import { sandboxes } from './sandboxes.ts';
import { settingsOf, type PostgresStoreOptions } from './settings.ts';

/** As `openPostgresStore` says, which loads this when it is needed. */
export async function connectStore(where: string | PostgresStoreOptions): Promise<Store> {
  const settings = settingsOf(typeof where === 'string' ? { url: where } : where);
  const db = new Database(settings);
  const hints = new Hints(settings);
  const appends = new Appends(db, (committed) => hints.publish(committed));
  const [payments, answers] = [new Batches(db, 'postLedger'), new Batches(db, 'recordJournal')];
  const reasons = new Batches(db, 'recordDecisions');
  const access: Access = { db, touch: (topic, key) => hints.publish([[topic, key]]) };
  const close = async (): Promise<void> => {
    // Idle connections keep no process alive, not even until they are closed.
    const alive = setInterval(() => undefined, 1000);
    await Promise.all([appends, payments, answers, reasons].map((batches) => batches.drain()));
    await db.close();
    await hints.close();
    clearInterval(alive);
  };
  try {
    await db.prepare();
    await hints.open();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...runs(access),
    ...engines(access),
    ...log(access, appends),
    ...jobs(access),
    ...approvals(access),
    ...published(access),
    ...gateway(access),
    ...ledger(access, payments),
    ...journal(access, answers),
    ...knowledge(access),
    ...decisions(access, reasons),
    ...conversations(access),
    ...sandboxes(access),
    ...runRequests(access),
    subscribe: hints.subscribe.bind(hints),
    close,
  };
}
