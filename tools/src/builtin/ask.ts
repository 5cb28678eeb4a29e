// A question to people. Whoever carries out the call has asked them already, and knows what they said.
import { z } from 'zod';
import type { ToolCaller } from '../contract.ts';
import { textAnswer, type Executor } from '../executor.ts';
import { ToolError } from '../tool-error.ts';

const input = z
  .object({
    question: z.string().min(1).max(8000).describe('What you want to know, with all that is needed to answer it.'),
  })
  .strict();

const DESCRIPTION =
  'Asks people a question and waits for their answer, which may take long. Ask only what you cannot find out.';

/** @param answerTo what people have answered to the question that this call of a step asks; absent: nobody is asked here */
export function askExecutor(answerTo?: (call: NonNullable<ToolCaller['step']>) => Promise<unknown>): Executor {
  return {
    describe: ({ tool }) =>
      Promise.resolve({
        operations: [{ description: tool.spec.description ?? DESCRIPTION, inputSchema: z.toJSONSchema(input) }],
      }),
    call: async (_errand, { caller }) => {
      const answer = caller?.step && (await answerTo?.(caller.step));
      if (typeof answer !== 'string') throw new ToolError('misconfigured', 'Nobody can be asked here.');
      return textAnswer(answer);
    },
  };
}
