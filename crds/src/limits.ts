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

const NANO_PER_USD = 1_000_000_000;

/** USD × 10⁻⁹. What a number of JavaScript cannot hold exactly, above 9 million dollars, is cut there. */
export function nanoUsd(usd: string): number {
  const [whole = '0', fraction = ''] = usd.split('.');
  const nano = BigInt(whole) * BigInt(NANO_PER_USD) + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return Number(nano < BigInt(Number.MAX_SAFE_INTEGER) ? nano : BigInt(Number.MAX_SAFE_INTEGER));
}

/** USD × 10⁻⁹ as a decimal, without zeros at its end. */
export function usdText(nano: number): string {
  const rest = String(nano % NANO_PER_USD)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const whole = String(Math.floor(nano / NANO_PER_USD));
  return rest === '' ? whole : `${whole}.${rest}`;
}
