// Approval: a decision that a run asks people for. Kadre writes what is asked, people write what they decide.
import { z } from 'zod';
import { approvalPolicy, userName } from './approval-policy.ts';
import { dnsLabel, json } from './common.ts';
import { rules, unchanged } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';
import type { ValidationRule } from './structural.ts';

export const approvalPhases = ['Pending', 'Approved', 'Rejected', 'Withdrawn', 'Expired'] as const;
export type ApprovalPhase = (typeof approvalPhases)[number];

/** What Kadre writes: who is asked what, and by which step of which run. */
const asked = {
  ...approvalPolicy.shape,
  run: dnsLabel.describe('The Run that asks.'),
  step: z.string().min(1).max(512).describe('The step that asks.'),
  attempt: z.int().min(1).describe('The number of the attempt at the step, from 1.'),
  call: z
    .int()
    .min(1)
    .optional()
    .describe('If a call of a Tool is to be approved: its number among the calls of the attempt.'),
  question: z.int().min(1).optional().describe('If the agent itself asks: the number of its question in the attempt.'),
  message: z.string().max(32_768).describe('What is to be decided.'),
  requestedBy: userName.optional().describe('The user who asked for the run.'),
  expiresAt: z.string().max(64).optional().describe('Until when people can decide, RFC 3339.'),
};

/** What people write. */
const decided = {
  decision: z.enum(['approved', 'rejected']).optional().describe('What you decide.'),
  answer: json.optional().describe('What the form asks for.'),
  decidedBy: userName.optional().describe('Your own user name, as `kubectl auth whoami` tells it.'),
};

const decisionUnchanged = unchanged(Object.keys(decided), 'self.spec', 'oldSelf.spec');
const isOver = "has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase != 'Pending'";
const isRefused =
  "has(oldSelf.status) && has(oldSelf.status.conditions) && oldSelf.status.conditions.exists(c, c.type == 'Accepted' && c.status == 'False')";

/** Of the whole object, since they look at the status: what Kadre has not refused stands. */
export const approvalRules: ValidationRule[] = [
  {
    message: 'nobody waits for this decision any more: status.phase says what became of it',
    rule: `!(${isOver}) || (${decisionUnchanged})`,
    fieldPath: '.spec.decision',
  },
  {
    message: 'a decision stands once it is made; it can be mended only if the condition Accepted is False',
    rule: `!has(oldSelf.spec.decision) || (${isRefused}) || (${decisionUnchanged})`,
    fieldPath: '.spec.decision',
  },
];

export const approvalSpec = z.object({ ...asked, ...decided }).meta(
  rules(
    {
      message: 'what is asked stays as it is: set decision, decidedBy and answer, and nothing else',
      rule: unchanged(Object.keys(asked)),
    },
    {
      message: 'say who decides: set decision, and decidedBy to your own user name (`kubectl auth whoami` tells it)',
      rule: 'has(self.decision) == has(self.decidedBy)',
      fieldPath: '.decidedBy',
    },
    {
      message: 'an answer belongs to a decision: set decision, too',
      rule: '!has(dyn(self).answer) || has(self.decision)',
      fieldPath: '.answer',
    },
  ),
);

export const approvalStatus = z.object({
  observedGeneration,
  phase: z
    .enum(approvalPhases)
    .optional()
    .describe('What became of it. Withdrawn: the run ended or went on without it. Expired: nobody decided in time.'),
  decidedBy: z.string().max(253).optional().describe('Whose decision was taken.'),
  decidedAt: z.string().max(64).optional().describe('When it was taken, RFC 3339.'),
  conditions,
});

export type ApprovalSpec = z.infer<typeof approvalSpec>;
export type ApprovalStatus = z.infer<typeof approvalStatus>;
export type Approval = Resource<ApprovalSpec, ApprovalStatus>;
