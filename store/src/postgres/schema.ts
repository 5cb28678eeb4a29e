// The schema, as numbered steps that only go forward. A step that was released is never edited; a function that changes
// gets a new name, because engines of the version before may be at work still.
//
// JSON is kept as text: jsonb refuses \u0000 and changes the order of keys, and what people put in must come out.
// Each write is one statement, and so one transaction and one round trip; what takes several steps is a function. Where it
// matters who was first, the row keeps the number of the call that wrote it: a call whose answer was lost asks again, and
// recognises its own work.
import { askedByAgents } from './schema/asked-by-agents.ts';
import { conversations } from './schema/conversations.ts';
import { decisions } from './schema/decisions.ts';
import { first } from './schema/first.ts';
import { gateways } from './schema/gateways.ts';
import { knowledge } from './schema/knowledge.ts';
import { ledgerAndJournal } from './schema/ledger-and-journal.ts';
import { queueLimits } from './schema/queue-limits.ts';
import { runRequests } from './schema/run-requests.ts';
import { sandboxes } from './schema/sandboxes.ts';

export const migrations = [
  first,
  ledgerAndJournal,
  queueLimits,
  decisions,
  gateways,
  askedByAgents,
  sandboxes,
  conversations,
  knowledge,
  runRequests,
];
