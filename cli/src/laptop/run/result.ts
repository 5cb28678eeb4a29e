// What a run leaves on standard output, and the exit status that says how it ended.
import { stringify } from 'yaml';
import { exits } from '../errors.ts';
import type { RunRecord } from '../history/folders.ts';
import type { Output } from '../options.ts';
import type { RunView } from '../terminal/view.ts';

/** `text`: the output alone, a text as it is. Else an object that says how the run ended as well. */
export function resultText(record: RunRecord, view: RunView, output: Output): string | undefined {
  if (output === 'text') {
    if (view.phase !== 'Succeeded') return undefined;
    return typeof view.output === 'string' ? view.output : JSON.stringify(view.output ?? null, null, 2);
  }
  const result = resultOf(record, view);
  return output === 'json' ? JSON.stringify(result, null, 2) : stringify(result, { lineWidth: 0 }).trimEnd();
}

function resultOf({ name, uid }: RunRecord, view: RunView): object {
  const { phase, output, failure, startedAt, finishedAt, tokens, cost } = view;
  return {
    name,
    uid,
    phase,
    output: output ?? null,
    ...(failure && { failure }),
    usage: { tokens, costUsd: cost / 1e9 },
    ...(startedAt !== undefined && { startedAt: new Date(startedAt).toISOString() }),
    ...(finishedAt !== undefined && { finishedAt: new Date(finishedAt).toISOString() }),
  };
}

export function exitOf({ phase }: RunView): number {
  if (phase === 'Succeeded') return exits.succeeded;
  return phase === 'Cancelled' ? exits.cancelled : exits.failed;
}
