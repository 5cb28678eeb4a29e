// Calls that people must approve, and questions that agents ask people. What is asked is in the store, under the number of the
// call: whoever makes the call again, at whatever gateway, finds what was asked and what was decided.
import type { Tool } from '@kadre/crds';
import type { ApprovalRecord, JournalKey, Store } from '@kadre/store';
import type { CallFacts } from '@kadre/tools';
import { GatewayError, unavailable } from '../errors.ts';
import { callHash } from '../journal/tool-journal.ts';
import type { Clock } from '../options.ts';
import { approvalRequest } from './asking.ts';
import { Refusal } from './refusal.ts';
import type { ToolRequest } from './request.ts';

export type ApprovalStore = Pick<
  Store,
  'approval' | 'approvalsOfRun' | 'askApproval' | 'withdrawApproval' | 'subscribe'
>;

export interface ApprovableCall {
  request: ToolRequest;
  tool: Tool;
  operation: string | undefined;
  /** Whether words of strangers may have led to the call. */
  tainted: boolean;
  facts(): Promise<CallFacts>;
  /** Whether a rule is true of the call; undefined if it cannot be evaluated. */
  holds: (rule: string, facts: CallFacts) => boolean | undefined;
}

/** Nobody has decided yet: the call is to be made again, under the same number. */
export class UndecidedError extends Error {
  override name = 'UndecidedError';
  readonly approval: string;
  readonly until: string | undefined;

  constructor({ name, expiresAt }: ApprovalRecord) {
    super(`Approval ${name} is not decided yet`);
    this.approval = name;
    this.until = expiresAt === undefined ? undefined : new Date(expiresAt).toISOString();
  }
}

export interface Approvals {
  /**
   * Resolves with who approved the call; undefined if nobody has to. Throws {@link UndecidedError} after a while, or once
   * something has changed; a Refusal if nobody approves it; a 409 `JournalDiverged`, a 503.
   */
  mustAgree(call: ApprovableCall): Promise<string | undefined>;
  /** The call is refused for another reason: nobody needs to decide any more. */
  forget(tool: Tool, key: JournalKey | undefined): Promise<void>;
  /** What people have answered to the question that was asked by this call. Throws a 503. */
  answer(key: JournalKey): Promise<unknown>;
  /** Lets go of all who wait, so that they ask another gateway. */
  letGo(): void;
}

/** Shorter than what lies between gateway and agent may take for a dead connection. */
const WAIT_MS = 20_000;
/** Of one run. Each is an object in the cluster, and nobody reads more. */
const MOST_OPEN = 64;
const MOST_EVER = 1_000;

export function createApprovals(store: ApprovalStore, clock: Clock): Approvals {
  const closing = new AbortController();
  const look = (key: string) => kept(() => store.approval(key));

  const settled = async (record: ApprovalRecord, signal: AbortSignal): Promise<ApprovalRecord> => {
    if (record.state !== 'open') return record;
    const left = (record.expiresAt ?? Infinity) - clock.now();
    if (left > 0) {
      await nextChange(record.key, Math.min(left, WAIT_MS), signal);
      // Whoever waited may be gone by now without a word. What is approved is done for one who asks again.
      throw new UndecidedError(record);
    }
    await kept(() => store.withdrawApproval(record.key));
    return (await look(record.key)) ?? { ...record, state: 'withdrawn' };
  };

  const nextChange = async (key: string, ms: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const leave = (): void => reject(signal.reason as Error);
    const heard = (changed: string): void => {
      if (changed === key || changed === '') wakeUnlessOpen().catch(wake);
    };
    const wakeUnlessOpen = async (): Promise<void> => {
      if ((await look(key))?.state !== 'open') wake();
    };
    const stops = [store.subscribe('decisions', heard), store.subscribe('approvals', heard), clock.after(ms, wake)];
    signal.addEventListener('abort', leave, { once: true });
    closing.signal.addEventListener('abort', wake, { once: true });
    try {
      if (signal.aborted) leave();
      if (closing.signal.aborted) wake();
      // A decision between the look before and now has woken nobody.
      await Promise.all([promise, wakeUnlessOpen()]);
    } finally {
      for (const stop of stops) stop();
      signal.removeEventListener('abort', leave);
      closing.signal.removeEventListener('abort', wake);
    }
  };

  const ask = async (call: ApprovableCall, key: JournalKey, facts: CallFacts): Promise<ApprovalRecord> => {
    const { request, tool, operation, tainted } = call;
    const question = { request: { ...request, key }, tool, operation, facts, tainted, hash: callHash(request.asked) };
    const asked = approvalRequest(question, clock.now());
    const others = await kept(() => store.approvalsOfRun(key.run));
    if (others.length >= MOST_EVER || others.filter(({ state }) => state === 'open').length >= MOST_OPEN)
      throw tooMany(tool);
    const record = await kept(() => store.askApproval(asked));
    if (!record) throw new GatewayError(409, 'Cancelled', 'The run is over: nobody can be asked any more.');
    return record;
  };

  return {
    mustAgree: async (call) => {
      const { request, tool } = call;
      const { key, asked, signal } = request;
      if (!mayNeedPeople(tool)) return undefined;
      const known = key && (await look(storeKey(key)));
      if (!known) {
        const facts = await call.facts();
        if (!needsPeople(call, facts)) return undefined;
        if (!key) throw outsideOfSteps(tool);
        return consent(tool, await settled(await ask(call, key, facts), signal));
      }
      if (known.call?.hash !== callHash(asked)) throw diverged(known);
      return consent(tool, await settled(known, signal));
    },
    forget: async (tool, key) => {
      if (key && mayNeedPeople(tool)) await kept(() => store.withdrawApproval(storeKey(key)));
    },
    answer: async (key) => (await look(storeKey(key)))?.decision?.answer,
    letGo: () => closing.abort(),
  };
}

const storeKey = ({ run, step, attempt, call }: JournalKey): string => `${run}/${step}/${attempt}/${call}`;

const mayNeedPeople = ({ spec }: Tool): boolean => spec.approval !== undefined || spec.builtin?.ask !== undefined;

function needsPeople({ tool: { spec }, tainted, holds }: ApprovableCall, facts: CallFacts): boolean {
  const { approval } = spec;
  if (!approval?.when || (tainted && spec.consequential)) return true;
  // Whoever wanted to be asked of some calls is asked of those, too, of which nobody can tell.
  return holds(approval.when, facts) !== false;
}

/** Whether people are named who may approve what words of strangers have led to. */
export const hasApprovers = ({ spec: { approval, builtin } }: Tool): boolean =>
  builtin?.ask !== undefined || approval?.groups !== undefined || approval?.users !== undefined;

function consent({ metadata, spec }: Tool, { decision, name, expiresAt }: ApprovalRecord): string {
  if (decision?.approved) return decision.by;
  const what = spec.builtin?.ask ? 'to answer' : `this call of Tool ${metadata.name}`;
  const refused = (message: string, why: string): Refusal =>
    new Refusal({ reason: 'ApprovalRejected', rule: 'approval', message, why: `${why} (Approval ${name})` });
  const said = spec.builtin?.ask ? 'declined' : 'rejected';
  if (decision) throw refused(`${decision.by} ${said} ${what}.`, `${decision.by} ${said} it`);
  const late = expiresAt === undefined ? '' : ` in time, which ended at ${new Date(expiresAt).toISOString()}`;
  throw refused(
    `Nobody was there ${spec.builtin?.ask ? what : `to approve ${what}`}${late}.`,
    'nobody decided in time',
  );
}

const tooMany = ({ metadata }: Tool): Refusal =>
  new Refusal({
    reason: 'RateLimited',
    rule: 'approval',
    message: `Tool ${metadata.name} cannot be called just now: people have been asked ${MOST_OPEN} things that they have not decided, or ${MOST_EVER} in this run.`,
  });

const outsideOfSteps = ({ metadata, spec }: Tool): Refusal =>
  new Refusal({
    reason: 'ToolRefused',
    rule: 'approval',
    message: spec.builtin?.ask
      ? `Tool ${metadata.name} asks people, which can be done in steps of Runs alone.`
      : `This call of Tool ${metadata.name} needs somebody's approval, which can be asked for in steps of Runs alone.`,
  });

const diverged = ({ step, attempt, call }: ApprovalRecord): GatewayError =>
  new GatewayError(
    409,
    'JournalDiverged',
    `People were asked about another call under the number ${call?.number ?? ''} of attempt ${attempt} of step ${step}: nothing else can be done under it.`,
    { retry: false },
  );

async function kept<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw unavailable('The store cannot be asked just now who approves this call.', '1', cause);
  }
}
