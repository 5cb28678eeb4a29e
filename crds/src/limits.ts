// How much a run may use. The tighter of a Workflow's and a Run's limits hold.
import { z } from 'zod';
import { someTime } from './common.ts';

export const usd = z
  .string()
  .max(16)
  .regex(/^[0-9]{1,9}([.][0-9]{1,6})?$/)
  .describe('US dollars in quotes, such as "0.50".');

export const runLimits = z.object({
  duration: someTime.optional().describe('How long the run may take, from its start.'),
  costUsd: usd.optional().describe('What its model calls may cost, in USD.'),
  tokens: z
    .int()
    .min(1)
    .max(1_000_000_000_000)
    .optional()
    .describe('How many tokens they may read and write together.'),
  steps: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('How many steps may start, elements, rounds and attempts counted. 100000 if absent.'),
});

export type RunLimits = z.infer<typeof runLimits>;
