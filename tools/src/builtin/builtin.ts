// The tools that Kadre brings along.
import type { ToolSpec } from '@kadre/crds';
import type { Clock, Executor } from '../executor.ts';
import type { Outlet } from '../net/outlet.ts';
import { ToolError } from '../tool-error.ts';
import { askExecutor } from './ask.ts';
import type { BuiltinSpec } from './builtin-spec.ts';
import { calculator } from './calculator.ts';
import { codeExecutor } from './code.ts';
import { emailExecutor } from './email.ts';
import { httpFetcher } from './fetch.ts';
import { slackExecutor } from './slack.ts';
import { webhookExecutor } from './webhook.ts';

interface BuiltinOptions {
  outlet: Outlet;
  clock: Clock;
  allowLoopback: boolean;
  /** What the control plane carries out itself. */
  home: Partial<Record<keyof BuiltinSpec, Executor>>;
}

export function builtinExecutor({ outlet, clock, allowLoopback, home }: BuiltinOptions): Executor {
  const executors: Partial<Record<keyof BuiltinSpec, Executor>> = {
    ask: askExecutor(),
    code: codeExecutor(),
    ...home,
    calculator,
    http: httpFetcher(outlet, clock),
    slack: slackExecutor(outlet, clock),
    email: emailExecutor(allowLoopback),
    webhook: webhookExecutor(outlet, clock),
  };
  const executorOf = ({ builtin }: ToolSpec): Executor => {
    const kind = (Object.keys(executors) as (keyof BuiltinSpec)[]).find((one) => builtin?.[one]);
    const executor = kind && executors[kind];
    if (!executor) throw new ToolError('misconfigured', 'The Tool is of a kind that is not known here.');
    return executor;
  };
  return {
    describe: (errand) => executorOf(errand.tool.spec).describe(errand),
    call: (errand, request) => executorOf(errand.tool.spec).call(errand, request),
  };
}
