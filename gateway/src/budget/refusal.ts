// What a caller is told whose call cannot be paid for.
import { usdText } from '@kadre/crds';
import type { Shortfall } from '@kadre/store';
import { GatewayError } from '../errors.ts';
import type { CallLimit } from './limits.ts';

/** 403: no client tries that again by itself. */
export function refusal({ name, remedy, reason, charge: { endsAt } }: CallLimit, shortfall: Shortfall): GatewayError {
  const { what, limit, spent, reserved } = shortfall;
  const [amount, unit] = amounts[what];
  const state = `${amount(spent)} of ${amount(limit)} ${unit} are spent, and ${amount(reserved)} reserved for calls under way`;
  const anew =
    endsAt === undefined
      ? remedy
      : `The period begins anew at ${new Date(endsAt).toISOString().replace('.000Z', 'Z')}.`;
  const message = `No room is left for this call in ${name}: ${state}. ${anew}`;
  return new GatewayError(403, reason, message, { retry: false });
}

export function unpriced(model: string, { name }: CallLimit): GatewayError {
  const message = `Model ${model} has no known price, and ${name} limits money: set spec.price of the Model.`;
  return new GatewayError(424, 'ModelUnpriced', message, { retry: false });
}

type Format = [(value: number) => string, string];
const amounts: Record<Shortfall['what'], Format> = {
  costNanoUsd: [usdText, 'USD'],
  tokens: [String, 'tokens'],
  requests: [String, 'requests'],
};
