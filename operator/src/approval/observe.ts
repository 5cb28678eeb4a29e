import type { Approval, Run } from '@kadre/crds';
import type { ApprovalRecord } from '@kadre/store';

/** All that a decision about an Approval rests on. */
export interface ApprovalSnapshot {
  /** What the engine asks for under that name; absent if it asks for nothing, or its history was removed. */
  record?: ApprovalRecord;
  /** The Run, if it is there under the same UID. */
  run?: Run;
  /** The object of that name. */
  approval?: Approval;
}
