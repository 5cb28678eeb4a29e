import type { Run } from '@kadre/crds';
import type { Store } from '@kadre/store';

/** Whether the Run must wait until it is written down for whom it was made. */
export async function isBeingRemembered(
  { store }: { store: Pick<Store, 'runRequest'> },
  { metadata }: Readonly<Run>,
  key: string,
): Promise<boolean> {
  const record = await store.runRequest(key);
  return record?.state === 'requested' && record.name === metadata.name && record.namespace === metadata.namespace;
}
