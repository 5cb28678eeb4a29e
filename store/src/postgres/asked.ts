// What runs ask for and somebody else answers: Jobs and approvals.
import { json } from '../json.ts';
import { approvalOf, jobOf, type ApprovalRow, type JobRow } from '../rows.ts';
import type { ApprovalDecision, ApprovalRequest, JobRecord, Store } from '../store.ts';
import type { Access } from './access.ts';

type Outcome = NonNullable<JobRecord['outcome']>;

export function jobs({ db, touch }: Access) {
  return {
    openJobs: async () => (await db.read<JobRow>('openJobs')).map(jobOf),
    job: async (key: string) => {
      const [row] = await db.read<JobRow>('job', [key]);
      return row && jobOf(row);
    },
    jobsOfRun: async (uid: string) => (await db.read<JobRow>('jobsOfRun', [uid])).map(jobOf),
    jobCreated: async (key: string, jobUid: string) => {
      const { count, unsure } = await db.write('jobCreated', [key, jobUid]);
      if (count > 0 || unsure) touch('jobs', key);
    },
    finishJob: async (key: string, outcome: Outcome) => {
      const first = (await db.write('finishJob', [key, json(outcome), db.nextCall()])).count > 0;
      if (first) touch('job-outcomes', key);
      return first;
    },
  } satisfies Partial<Store>;
}

export function approvals({ db, touch }: Access) {
  return {
    openApprovals: async () => (await db.read<ApprovalRow>('openApprovals')).map(approvalOf),
    approval: async (key: string) => {
      const [row] = await db.read<ApprovalRow>('approval', [key]);
      return row && approvalOf(row);
    },
    approvalsOfRun: async (uid: string) => (await db.read<ApprovalRow>('approvalsOfRun', [uid])).map(approvalOf),
    askApproval: async (request: ApprovalRequest) => {
      const { key, run } = request;
      const { count, unsure } = await db.write('askApproval', [key, run.uid, json(request)]);
      if (count > 0 || unsure) touch('approvals', key);
      const [row] = await db.read<ApprovalRow>('approval', [key]);
      return row && approvalOf(row);
    },
    withdrawApproval: async (key: string) => {
      const { count, unsure } = await db.write('withdrawApproval', [key]);
      if (count > 0 || unsure) touch('approvals', key);
    },
    decideApproval: async (key: string, decision: ApprovalDecision) => {
      const first = (await db.write('decideApproval', [key, json(decision), db.nextCall()])).count > 0;
      if (first) touch('decisions', key);
      return first;
    },
  } satisfies Partial<Store>;
}
