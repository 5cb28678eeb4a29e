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

/** The rules of a Tool, be they of its policy or of its approval, and where they stand. What is no text is left out. */
export function toolExpressions(spec: { policy?: unknown; approval?: unknown }): { text: string; path: string }[] {
  const { rules } = (spec.policy ?? {}) as { rules?: unknown };
  const { when } = (spec.approval ?? {}) as { when?: unknown };
  const found = (Array.isArray(rules) ? (rules as ({ rule?: unknown } | null)[]) : []).map((one, index) => ({
    text: one?.rule,
    path: `spec.policy.rules[${index}].rule`,
  }));
  return [...found, { text: when, path: 'spec.approval.when' }].flatMap(({ text, path }) =>
    typeof text === 'string' ? [{ text, path }] : [],
  );
}
