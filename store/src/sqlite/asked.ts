// What runs ask for and somebody else answers: Jobs and approvals.
import { json } from '../json.ts';
import { approvalOf, jobOf, type ApprovalRow, type JobRow } from '../rows.ts';
import type { ApprovalDecision, ApprovalRequest, JobRecord, Store } from '../store.ts';
import type { Access } from './access.ts';

type Outcome = NonNullable<JobRecord['outcome']>;

export function jobs({ sql, write, read }: Access) {
  return {
    openJobs: () => read(() => (sql.openJobs.all() as unknown as JobRow[]).map(jobOf)),
    job: (key: string) =>
      read(() => {
        const row = sql.job.get(key) as JobRow | undefined;
        return row && jobOf(row);
      }),
    jobsOfRun: (uid: string) => read(() => (sql.jobsOfRun.all(uid) as unknown as JobRow[]).map(jobOf)),
    jobCreated: (key: string, jobUid: string) =>
      write((touch) => {
        if (sql.jobCreated.run(jobUid, key).changes > 0) touch('jobs', key);
      }),
    finishJob: (key: string, outcome: Outcome) =>
      write((touch) => {
        const first = sql.finishJob.run(json(outcome), key).changes > 0;
        if (first) touch('job-outcomes', key);
        return first;
      }),
  } satisfies Partial<Store>;
}

export function approvals({ sql, write, read }: Access) {
  return {
    openApprovals: () => read(() => (sql.openApprovals.all() as unknown as ApprovalRow[]).map(approvalOf)),
    approval: (key: string) =>
      read(() => {
        const row = sql.approval.get(key) as ApprovalRow | undefined;
        return row && approvalOf(row);
      }),
    approvalsOfRun: (uid: string) =>
      read(() => (sql.approvalsOfRun.all(uid) as unknown as ApprovalRow[]).map(approvalOf)),
    askApproval: (request: ApprovalRequest) =>
      write((touch) => {
        const { key, run } = request;
        if (sql.askApproval.run(key, run.uid, json(request)).changes > 0) touch('approvals', key);
        const row = sql.approval.get(key) as ApprovalRow | undefined;
        return row && approvalOf(row);
      }),
    withdrawApproval: (key: string) =>
      write((touch) => {
        if (sql.withdrawApproval.run(key).changes > 0) touch('approvals', key);
      }),
    decideApproval: (key: string, decision: ApprovalDecision) =>
      write((touch) => {
        const first = sql.decideApproval.run(json(decision), key).changes > 0;
        if (first) touch('decisions', key);
        return first;
      }),
  } satisfies Partial<Store>;
}
