import { API_VERSION } from '@kadre/crds';
import type { Context } from '../context.ts';

/**
 * Stops a run whose Run was deleted. A cache may lag behind or show an older state after a restart, so the API server
 * itself is asked first.
 */
export async function cancelOrphan({ store, manager, caches }: Context, uid: string): Promise<void> {
  const submission = await store.submission(uid);
  if (!submission) return;
  const { namespace, name } = submission;
  if (!caches.watches(namespace)) return;
  const live = await manager.client.get({ apiVersion: API_VERSION, kind: 'Run', namespace, name });
  if (live?.metadata.uid !== uid) await store.cancelRun(uid, 'The Run was deleted.');
}
