// What a new run takes over from the log of another.
import type { EngineEvent } from './events.ts';
import type { Json } from './expression/values.ts';
import { firstAttempt } from './ids.ts';
import type { Reuse } from './state.ts';

export interface ForkWish {
  /** Id of the step from which on everything is done anew; absent: whatever did not succeed. */
  from?: string;
  /** Instead of the prompt of that step. */
  prompt?: string;
}

/** `run`: UID of the other run. */
export function reuseOf(run: string, events: Iterable<EngineEvent>, { from, prompt }: ForkWish): Reuse {
  const outputs = new Map<string, { output: Json; bytes: number }>();
  for (const { type, data } of events) {
    if (type === 'StepSucceeded' && data.output !== undefined)
      outputs.set(firstAttempt(data.step), { output: data.output, bytes: data.bytes });
  }
  const isFrom = (id: string): boolean => from !== undefined && isPartOf(from, firstAttempt(id));
  return {
    run,
    outputs,
    anew: isFrom,
    ...(prompt !== undefined && { prompt: (id) => (isFrom(id) ? prompt : undefined) }),
  };
}

/** Whether the id is that step, an element or a round of it, or inside it. */
function isPartOf(step: string, id: string): boolean {
  return id === step || (id.startsWith(step) && /^[.[#]/.test(id.slice(step.length)));
}
