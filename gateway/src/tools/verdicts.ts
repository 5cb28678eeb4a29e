// Why calls of tools were allowed or refused, for people who ask afterwards. Of the arguments there is a hash alone.
import { createHash } from 'node:crypto';
import type { Clock } from '../options.ts';
import type { DecisionLog } from '../routing/decision-log.ts';
import type { Offered } from './discovery.ts';
import type { ToolRequest } from './request.ts';

export interface Verdict {
  allowed: boolean;
  /** Which rule decided, such as `grant`, `rules[0]` or `opa`; of a call that is allowed all that agreed. */
  rule: string;
  reason: string;
}

export type Decide = (request: ToolRequest, offered: Offered | undefined, verdict: Verdict) => void;

export function createVerdicts(decisions: DecisionLog, clock: Clock): Decide {
  return ({ id, caller, asked, key }, offered, { allowed, rule, reason }) => {
    const { namespace, agent, step } = caller;
    decisions.add({
      // A call that is made again after a crash is decided again, and by now perhaps otherwise.
      id: `${id}/${rule}`,
      at: clock.now(),
      kind: 'tool',
      namespace,
      agent,
      ...(step && { run: { uid: step.run, step: step.step, attempt: step.attempt } }),
      call: id,
      subject: offered?.tool.metadata.name ?? asked.name,
      ...(allowed && { chosen: asked.name }),
      reason,
      alternatives: {
        verdict: allowed ? 'allowed' : 'refused',
        rule,
        ...(offered?.name !== undefined && { operation: offered.name }),
        ...(key && { number: key.call }),
        arguments: `sha256:${createHash('sha256').update(asked.arguments).digest('hex')}`,
      },
      version: String(offered?.tool.metadata.generation ?? 0),
    });
  };
}
