// Runs in tests of the operator: applied by people, and told by what an engine would write.
import type { AppendEffects, RunProjection } from '@kadre/store';
import { eventually, field, KADRE, type Bed, type Ref, type Seen } from './bed.ts';

export const container = { image: 'busybox' };

/** @param where asked anew each time, since every test has a namespace of its own */
export function runTools(where: () => { bed: Bed; namespace: string }) {
  const runRef = (name = 'first'): Ref => ({ apiVersion: KADRE, kind: 'Run', namespace: where().namespace, name });
  const applyOwn = (kind: string, name: string, spec: object) => {
    const { bed, namespace } = where();
    return bed.apply({ apiVersion: KADRE, kind, metadata: { name, namespace }, spec });
  };
  const applyWorkflow = (steps: object[] = [{ name: 'draft', container }], name = 'article') =>
    applyOwn('Workflow', name, { steps });
  const applyRun = (spec: object = { workflow: { name: 'article' } }, name = 'first') => applyOwn('Run', name, spec);
  const submitted = async (run: Seen): Promise<string> => {
    const uid = run.metadata.uid ?? '';
    await eventually(`${run.metadata.name} submitted`, () => where().bed.store.submission(uid));
    return uid;
  };
  return {
    runRef,
    applyWorkflow,
    applyRun,
    submitted,
    /** A Run that the engine has, of a Workflow of one container. */
    startRun: async (): Promise<string> => {
      await applyWorkflow();
      return submitted(await applyRun());
    },
    cancellation: async (uid: string): Promise<string | undefined> =>
      (await where().bed.store.controls(uid)).cancellation,
    /** What an engine would write. */
    say: async (
      uid: string,
      status: RunProjection['status'],
      more: AppendEffects & Pick<RunProjection, 'failure'> = {},
      name = 'first',
    ): Promise<void> => {
      const { bed, namespace } = where();
      const { failure, ...effects } = more;
      const log = await bed.store.events(uid);
      const projection = { uid, namespace, name, status, ...(failure && { failure }) };
      const event = { at: Date.now(), type: 'Said', data: status };
      await bed.store.append(uid, log.length, [event], { projection, ...effects });
    },
    phase: (name: string, wanted: string): Promise<Seen> =>
      eventually(`${name} ${wanted}`, async () => {
        const live = await where().bed.get(runRef(name));
        if (field(live, 'status.phase') === wanted) return live;
        throw new Error(JSON.stringify(field(live, 'status')));
      }),
  };
}
