// POST /v1/tools/cancel: a step does not want any more what it has asked another agent for.
import { TOOL_CANCEL_PATH, type ToolCall } from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { FastifyInstance } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { held, type DoorServices } from '../doors/door.ts';
import { invalidRequest } from '../errors.ts';
import { fromJournal } from '../journal/entries.ts';
import { toolKey } from '../journal/tool-journal.ts';
import { readArguments } from '../tools/arguments.ts';
import type { Offers } from '../tools/offers.ts';
import { Refusal } from '../tools/refusal.ts';
import { idempotencyKey, type ToolRequest } from '../tools/request.ts';
import type { Delegations } from './carry-out.ts';

interface CancelServices extends Pick<DoorServices, 'clock' | 'limits' | 'closing'> {
  store: Pick<Store, 'journalEntry'>;
  offers: Offers;
  delegations: Delegations;
  parse: (body: unknown) => ToolCall;
}

export function cancelling(api: FastifyInstance, services: CancelServices): void {
  api.post(TOOL_CANCEL_PATH, (http, reply) =>
    held(http, reply, services, async (signal) => {
      const { id, headers, record } = http;
      const caller = record.caller as Caller;
      if (!caller.step) throw invalidRequest('Outside of steps a call is cancelled by hanging up.');
      const key = toolKey(caller.step, headers);
      const asked = services.parse(http.body);
      return { cancelled: await cancel(services, { id, caller, key, headers, signal, record, asked }) };
    }),
  );
}

/** `false`: there was nothing to cancel. */
async function cancel({ store, offers, delegations }: CancelServices, request: ToolRequest): Promise<boolean> {
  const { caller, asked, key, signal } = request;
  if (key && (await fromJournal(store.journalEntry(key)))) return false;
  try {
    const offered = await offers.find(caller, asked, signal);
    if (!offered.delegation) return false;
    const args = await readArguments(asked.arguments, offered);
    await delegations.cancel(
      { args, idempotencyKey: idempotencyKey(request), signal, headers: {} },
      request,
      offered.tool,
    );
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
