// When a call of a Tool needs somebody's consent, and whose.
import { z } from 'zod';
import { approvalPolicy } from './approval-policy.ts';
import { someTime } from './common.ts';

const whoDecides = approvalPolicy.omit({ form: true }).shape;
const waiting = someTime
  .optional()
  .describe('How long people have. Absent, or longer than the step has left to ask: as long as that.');

export const toolApproval = z
  .object({
    when: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'A CEL expression over args, operation, agent, run, step and attempt; where it is false, nobody is asked. Absent: each call is asked for.',
      ),
    message: z.string().min(1).max(4096).optional().describe('What people are told before they see the call itself.'),
    ...whoDecides,
    timeout: waiting,
  })
  .describe('Which calls need somebody to approve them. Only calls in steps of Runs can be asked for.');

/** The part of builtin.ask. */
export const askPeople = z
  .object({ ...whoDecides, timeout: waiting })
  .describe('Asks people a question, and gives the agent their answer. Only in steps of Runs.');

export type ToolApproval = z.infer<typeof toolApproval>;
