// What every store must do, whatever database it keeps its facts in.
import { afterEach, beforeEach, describe } from '@jest/globals';
import { describeApprovals } from './contract/approvals.ts';
import { describeConversations } from './contract/conversations.ts';
import { describeDecisions } from './contract/decisions.ts';
import { describeEngines } from './contract/engines.ts';
import type { StoreUnderTest } from './contract/fixtures.ts';
import { describeGateways } from './contract/gateways.ts';
import { describeHints } from './contract/hints.ts';
import { describeJobs } from './contract/jobs.ts';
import { describeJournal } from './contract/journal.ts';
import { describeKnowledge } from './contract/knowledge.ts';
import { describeLedger } from './contract/ledger.ts';
import { describeLog } from './contract/log.ts';
import { describePublished } from './contract/published.ts';
import { describeQueues } from './contract/queues.ts';
import { describeRetention } from './contract/retention.ts';
import { describeRunRequests } from './contract/run-requests.ts';
import { describeRuns } from './contract/runs.ts';
import { describeSandboxes } from './contract/sandboxes.ts';
import { describeUsage } from './contract/usage.ts';
import { describeValues } from './contract/values.ts';

export { submission, type StoreUnderTest } from './contract/fixtures.ts';

export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let it: StoreUnderTest;
    beforeEach(async () => {
      it = await open();
    });
    afterEach(() => it.cleanUp());
    const subject = (): StoreUnderTest => it;
    describe('runs', () => describeRuns(subject));
    describe('the log', () => describeLog(subject));
    describe('values', () => describeValues(subject));
    describe('engines', () => describeEngines(subject));
    describe('queues', () => describeQueues(subject));
    describe('jobs', () => describeJobs(subject));
    describe('approvals', () => describeApprovals(subject));
    describe('published events and cached outputs', () => describePublished(subject));
    describe('gateways', () => describeGateways(subject));
    describe('usage and secrets', () => describeUsage(subject));
    describe('the ledger', () => describeLedger(subject));
    describe('the journal', () => describeJournal(subject));
    describe('knowledge', () => describeKnowledge(subject));
    describe('decisions', () => describeDecisions(subject));
    describe('requests for runs', () => describeRunRequests(subject));
    describe('sandboxes', () => describeSandboxes(subject));
    describe('conversations', () => describeConversations(subject));
    describe('retention', () => describeRetention(subject));
    describe('hints', () => describeHints(subject));
  });
}
