// What people are shown before they approve a call, or are asked by an agent. Whoever decides must see all that will be done:
// what is too long to be shown is not asked for, and nothing in it can hide or pass for something else.
import { milliseconds, type Tool, type ToolApproval } from '@kadre/crds';
import { objectName, type ApprovalRequest, type StepClaims } from '@kadre/store';
import type { CallFacts } from '@kadre/tools';
import { Refusal } from './refusal.ts';
import type { ToolRequest } from './request.ts';

export interface Question {
  request: ToolRequest & { key: NonNullable<ToolRequest['key']> };
  tool: Tool;
  operation: string | undefined;
  facts: CallFacts;
  /** Of all that is approved. */
  hash: string;
  /** Whether words of strangers may have led to the call. */
  tainted: boolean;
}

const LONGEST_SHOWN = 24_000;
/** So that the agent hears of it before its right to ask is over. */
const SPARE_MS = 60_000;
/** The words of people, as they write them. */
const WORDS = { schema: { type: 'string', minLength: 1, maxLength: 16_000 } };

/** Throws a Refusal for what cannot be asked. */
export function approvalRequest(question: Question, now: number): ApprovalRequest {
  const { request, tool, facts, hash } = question;
  const { key, caller } = request;
  const { ask } = tool.spec.builtin ?? {};
  const { groups, users, otherThanRequester, timeout } = ask ?? tool.spec.approval ?? {};
  const run = facts.run ?? { name: '', requestedBy: null };
  if (otherThanRequester && run.requestedBy === null) throw nobodyElse(tool);
  const expiresAt = Math.min(
    timeout === undefined ? Infinity : now + milliseconds(timeout),
    tokenEnd(caller.step) - SPARE_MS,
  );
  const id = `${key.run}/${key.step}/${key.attempt}/${key.call}`;
  return {
    key: id,
    run: { uid: key.run, namespace: caller.namespace, name: run.name },
    step: key.step,
    attempt: key.attempt,
    call: { number: key.call, hash },
    name: objectName(`${run.name}-${key.step}-${tool.metadata.name}`, id),
    message: ask ? askedMessage(question) : callMessage(question),
    policy: {
      ...(groups && { groups }),
      ...(users && { users }),
      ...(otherThanRequester !== undefined && { otherThanRequester }),
      ...(ask && { form: WORDS }),
    },
    ...(run.requestedBy !== null && { requestedBy: run.requestedBy }),
    ...(expiresAt < Infinity && { expiresAt }),
  };
}

/** An engine has a fresh token for each try. */
const tokenEnd = (step: StepClaims | undefined): number => (step?.engine ? Infinity : (step?.expiresAt ?? Infinity));

function askedMessage({ facts, tool }: Question): string {
  const { question } = facts.args;
  return `${who(facts)} asks:\n${shown(tool, typeof question === 'string' ? question : '')}`;
}

function callMessage({ tool, operation, facts, tainted }: Question): string {
  const { message } = tool.spec.approval as ToolApproval;
  const name = operation === undefined ? tool.metadata.name : `${tool.metadata.name}, operation ${plain(operation)}`;
  const doubt = tainted
    ? ['It has read what strangers may have written, so this may not be what it was asked to do.']
    : [];
  return [
    ...(message === undefined ? [] : [message]),
    `${who(facts)} wants to call Tool ${name}.`,
    ...doubt,
    'The arguments:',
    shown(tool, JSON.stringify(facts.args, null, 2)),
  ].join('\n');
}

const who = ({ agent, step }: CallFacts): string =>
  agent === '' ? `Step ${step ?? ''}` : `Agent ${agent} in step ${step ?? ''}`;

function shown({ metadata }: Tool, text: string): string {
  const visible = plain(text);
  if (visible.length <= LONGEST_SHOWN) return visible;
  throw new Refusal({
    reason: 'ApprovalRejected',
    rule: 'approval',
    message: `People must see all that they decide on, and this call of Tool ${metadata.name} is longer than the ${LONGEST_SHOWN} characters that can be shown: make it shorter.`,
  });
}

/** Characters that are not seen, or that turn the direction of what follows, are spelled out. */
const plain = (text: string): string =>
  text
    .toWellFormed()
    .replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);

const nobodyElse = ({ metadata }: Tool): Refusal =>
  new Refusal({
    reason: 'ApprovalRejected',
    rule: 'approval',
    message: `Tool ${metadata.name} wants the approval of somebody else than whoever asked for the run, and the Run names nobody in spec.requestedBy: somebody must start another one that does.`,
  });
