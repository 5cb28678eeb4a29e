// Whether the policy of a Tool lets a call pass: all its rules must be true, and its Open Policy Agent must agree.
import type { Tool } from '@kadre/crds';
import { compileRule, type CallFacts, type Rule } from '@kadre/tools';
import { BoundedMap, type StepClaims } from '@kadre/store';
import type { Caller } from '../access/caller.ts';
import { createRuns, type RunStore } from '../budget/runs.ts';
import { unavailable } from '../errors.ts';
import type { Clock, Limits } from '../options.ts';
import { createOpa } from './opa.ts';
import { Refusal } from './refusal.ts';

export interface JudgedCall {
  tool: Tool;
  operation: string | undefined;
  args: Record<string, unknown>;
  caller: Caller;
  signal: AbortSignal;
}

export interface Policy {
  /** Resolves with the rules that agreed. Throws a Refusal; a 503 if nothing can be known of the run. */
  check(call: JudgedCall): Promise<string[]>;
  /** What rules know of the call. Throws a 503. */
  facts(call: JudgedCall): Promise<CallFacts>;
  /** Undefined if the rule cannot be evaluated. */
  holds: (rule: string, facts: CallFacts) => boolean | undefined;
  close(): Promise<void>;
}

interface PolicyOptions {
  store: RunStore;
  clock: Clock;
  limits: Pick<Limits, 'allowLoopback'>;
}

const MOST_RULES = 2_000;

export function createPolicy({ store, clock, limits }: PolicyOptions): Policy {
  const runs = createRuns(store);
  const opa = createOpa({ clock, allowLoopback: limits.allowLoopback });
  const compiled = new BoundedMap<string, ReturnType<typeof compileRule>>(MOST_RULES);

  const ruleOf = (text: string): Rule | { problem: string } => {
    const known = compiled.get(text) ?? compileRule(text);
    compiled.set(text, known);
    return known;
  };

  const runOf = async (step: StepClaims): Promise<CallFacts['run']> => {
    const run = await Promise.resolve(runs(step.run)).catch((cause: unknown) => {
      throw unavailable('The run of this call cannot be read just now.', '1', cause);
    });
    return { name: run?.name ?? '', requestedBy: run?.requestedBy ?? null };
  };

  const factsOf = async ({ args, operation = '', caller: { agent, step } }: JudgedCall): Promise<CallFacts> => ({
    args,
    operation,
    agent,
    run: step ? await runOf(step) : null,
    step: step?.step ?? null,
    attempt: step?.attempt ?? null,
  });

  return {
    facts: factsOf,
    holds: (text, facts) => {
      const rule = ruleOf(text);
      if ('problem' in rule) return undefined;
      const verdict = rule.allows(facts);
      return verdict.allowed || (verdict.trouble === undefined ? false : undefined);
    },
    check: async (call) => {
      const { policy } = call.tool.spec;
      if (!policy) return [];
      const { namespace, step } = call.caller;
      const facts = await factsOf(call);
      const agreed = (policy.rules ?? []).map((one, index) => {
        const name = `rules[${index}]`;
        mustHold(call.tool, name, one, ruleOf(one.rule), facts);
        return name;
      });
      if (!policy.opa) return agreed;
      const run = step && facts.run ? { uid: step.run, ...facts.run } : null;
      const input = { tool: call.tool.metadata.name, namespace, ...facts, run };
      await opa.mustAgree(call.tool, policy.opa, input, call.signal);
      return [...agreed, 'opa'];
    },
    close: () => opa.close(),
  };
}

function mustHold(
  { metadata }: Tool,
  rule: string,
  { message }: { message?: string | undefined },
  compiled: Rule | { problem: string },
  facts: CallFacts,
): void {
  const forbids = `The policy of Tool ${metadata.name} forbids this call`;
  const refused = (said: string, why: string): Refusal =>
    new Refusal({ reason: 'ToolRefused', rule, message: said, why: `${why} (spec.policy.${rule})` });
  if ('problem' in compiled) {
    throw refused(
      `${forbids}: one of its rules is wrong, and somebody must mend it.`,
      `the rule is wrong: ${compiled.problem}`,
    );
  }
  const verdict = compiled.allows(facts);
  if (verdict.allowed) return;
  if (verdict.trouble === undefined) throw refused(message ?? `${forbids}.`, 'the rule is not true');
  // What went wrong may quote the arguments, which are nobody's but the agent's.
  throw refused(
    message ?? `${forbids}: one of its rules makes no sense of these arguments.`,
    'the rule failed on these arguments',
  );
}
