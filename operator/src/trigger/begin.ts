// Starts what a Trigger starts. Twice does no harm: the second time finds that it is done.
import { labels, type Trigger } from '@kadre/crds';
import { startOf, TriggerError, type RunManifest, type Start, type TriggerPlan } from '@kadre/engine';
import type { Store } from '@kadre/store';
import { isAlreadyExists, isInvalid, type KubeClient, type KubeObject } from '../kube/index.ts';
import type { Fire } from './changes.ts';

export type Started = { state: 'created' | 'exists' | 'taken' } | { state: 'refused'; message: string };

/** What came of one cause. */
export interface Outcome {
  cause: string;
  /** Name of the Run, or of the event. */
  name?: string;
  /** It is the first time. */
  isNew?: boolean;
  /** Why nothing was started, and never will be for this cause. */
  refusal?: string;
}

/** exists: the same Trigger started it before. Throws if the API server does not take it now. */
export async function startRun(client: KubeClient, run: RunManifest, signal?: AbortSignal): Promise<Started> {
  const { apiVersion, kind, metadata } = run;
  try {
    await client.create(run as unknown as KubeObject, { signal });
    return { state: 'created' };
  } catch (error) {
    if (isInvalid(error)) return { state: 'refused', message: error instanceof Error ? error.message : String(error) };
    if (!isAlreadyExists(error)) throw error;
    const { name, namespace } = metadata;
    const live = await client.get({ apiVersion, kind, name, namespace }, { signal });
    // Gone again: it has been there, and that is what counts.
    if (!live) return { state: 'exists' };
    const isOurs = live.metadata.labels?.[labels.triggerUid] === metadata.labels[labels.triggerUid];
    return { state: isOurs ? 'exists' : 'taken' };
  }
}

/** One after the other. Throws at the first that cannot be started now. */
export async function beginAll(
  { client, store, signal }: { client: KubeClient; store: Pick<Store, 'publishEvent'>; signal: AbortSignal },
  trigger: Trigger,
  plan: TriggerPlan,
  fires: readonly Fire[],
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { cause, happening } of fires) {
    const start = decided(() => startOf(trigger, plan, cause, happening));
    if ('refusal' in start) outcomes.push({ cause: cause.text, refusal: start.refusal });
    else if ('event' in start)
      outcomes.push({ cause: cause.text, name: start.event.name, isNew: await store.publishEvent(start.event) });
    else outcomes.push({ cause: cause.text, ...outcomeOf(start.run, await startRun(client, start.run, signal)) });
  }
  return outcomes;
}

function decided(decide: () => Start): Start | { refusal: string } {
  try {
    return decide();
  } catch (error) {
    if (error instanceof TriggerError) return { refusal: error.message };
    throw error;
  }
}

function outcomeOf({ metadata: { name } }: RunManifest, started: Started): Omit<Outcome, 'cause'> {
  switch (started.state) {
    case 'created':
      return { name, isNew: true };
    case 'exists':
      return { name, isNew: false };
    case 'taken':
      return { refusal: `There is a Run ${name} that this Trigger did not start: delete it.` };
    case 'refused':
      return { refusal: started.message };
  }
}
