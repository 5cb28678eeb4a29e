// What the engine asks for and somebody else answers: Jobs and approvals.
import { json, optionalField } from '../json.ts';
import type { ApprovalDecision, ApprovalRecord, ApprovalRequest, JobRecord, JobRequest, Store } from '../store.ts';
import type { Access } from './access.ts';
import type { ApprovalRow, JobRow } from './statements.ts';

type Outcome = NonNullable<JobRecord['outcome']>;

export function jobs({ sql, write, read }: Access) {
  return {
    openJobs: () => read(() => (sql.openJobs.all() as unknown as JobRow[]).map(jobRecord)),
    job: (key: string) =>
      read(() => {
        const row = sql.job.get(key) as JobRow | undefined;
        return row && jobRecord(row);
      }),
    jobsOfRun: (uid: string) => read(() => (sql.jobsOfRun.all(uid) as unknown as JobRow[]).map(jobRecord)),
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
    openApprovals: () => read(() => (sql.openApprovals.all() as unknown as ApprovalRow[]).map(approvalRecord)),
    approval: (key: string) =>
      read(() => {
        const row = sql.approval.get(key) as ApprovalRow | undefined;
        return row && approvalRecord(row);
      }),
    approvalsOfRun: (uid: string) =>
      read(() => (sql.approvalsOfRun.all(uid) as unknown as ApprovalRow[]).map(approvalRecord)),
    decideApproval: (key: string, decision: ApprovalDecision) =>
      write((touch) => {
        const first = sql.decideApproval.run(json(decision), key).changes > 0;
        if (first) touch('decisions', key);
        return first;
      }),
  } satisfies Partial<Store>;
}

function jobRecord(row: JobRow): JobRecord {
  return {
    ...(JSON.parse(row.request) as JobRequest),
    state: row.state,
    ...(row.uid !== null && { uid: row.uid }),
    ...optionalField<'outcome', Outcome>('outcome', row.outcome),
    abandoned: row.abandoned === 1,
  };
}

function approvalRecord(row: ApprovalRow): ApprovalRecord {
  return {
    ...(JSON.parse(row.request) as ApprovalRequest),
    state: row.state,
    ...optionalField<'decision', ApprovalDecision>('decision', row.decision),
  };
}
