// Reads what a decision about a Run rests on.
import { by } from '../caches.ts';
import { isBeingRemembered } from '../run-request/remembered.ts';
import { isTerminal } from './status.ts';
import { observeSubject } from './subject.ts';
import type { Context } from '../context.ts';
import { annotations, type Run } from '@kadre/crds';
import type { RunSnapshot } from './observe.ts';

export interface Gathering {
  /** When the status was last written or the run submitted, in milliseconds since 1970. */
  lastWrite: number | undefined;
  /** Is told of each thing that the run may wait for, before it is looked for. */
  expect: (thing: string) => void;
}

export async function observeRun(context: Context, run: Readonly<Run>, gathering: Gathering): Promise<RunSnapshot> {
  const { store, caches } = context;
  const { lastWrite, expect } = gathering;
  const { uid } = run.metadata;
  const base: RunSnapshot = {
    run,
    submitted: false,
    cancelled: false,
    suspended: false,
    pods: [],
    ...(lastWrite !== undefined && { lastWrite }),
  };
  if (isTerminal(run.status?.phase)) return base;
  const projection = await store.projection(uid);
  const submitted = projection !== undefined || (await store.submission(uid)) !== undefined;
  if (!submitted) {
    const key = run.metadata.annotations?.[annotations.request];
    if (key !== undefined && (await isBeingRemembered(context, run, key))) return { ...base, isBeingRemembered: true };
    return { ...base, subject: await observeSubject(context, run, expect) };
  }
  // Who says nothing of a pause wants none; whether one must end then, the phase tells.
  const asks = run.spec.cancel === true || run.spec.suspend !== undefined || projection?.status.phase === 'Paused';
  const controls = asks ? await store.controls(uid) : { suspended: false };
  return {
    ...base,
    submitted,
    cancelled: controls.cancellation !== undefined,
    suspended: controls.suspended,
    ...(projection && { projection }),
    // A label is anybody's word: only pods of the Run's own namespace are meant.
    pods: caches.pods.byIndex(by.run, uid).filter(({ metadata }) => metadata.namespace === run.metadata.namespace),
  };
}
