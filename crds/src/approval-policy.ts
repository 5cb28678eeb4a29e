// Who may decide at a checkpoint, and what they must fill in.
import { z } from 'zod';
import { jsonSchema } from './common.ts';

/** As Kubernetes knows people and groups; oidc:ann and system:masters are names, too. */
export const userName = z.string().min(1).max(253);

export const approvalPolicy = z.object({
  groups: z
    .array(userName.describe('The name of a group.'))
    .min(1)
    .max(32)
    .optional()
    .describe('Whoever is in one of these groups may decide. Neither groups nor users: whoever may update Approvals.'),
  users: z
    .array(userName.describe('The name of a user.'))
    .min(1)
    .max(32)
    .optional()
    .describe('These users may decide.'),
  otherThanRequester: z
    .boolean()
    .optional()
    .describe('true: not the user whom the Run names in requestedBy; then the Run must name one.'),
  form: z
    .object({ schema: jsonSchema.describe('A JSON Schema.') })
    .optional()
    .describe('What must be filled in to approve.'),
});

export type ApprovalPolicy = z.infer<typeof approvalPolicy>;
