// Children of an object: those that there are, whose they are, and what the API server has to say about those to be made.
import { childKey, refOf } from './build/wanted.ts';
import { by } from './caches.ts';
import { isInvalid, joinKey, KubeError, type Cache, type KubeObject, type Manager } from './kube/index.ts';

export function ownChildren(caches: Cache[], { uid, namespace }: KubeObject['metadata']): KubeObject[] {
  // Owner references across namespaces mean nothing.
  return caches
    .flatMap((cache) => cache.byIndex(by.owner, uid ?? ''))
    .filter(({ metadata }) => metadata.namespace === namespace);
}

/** Keys of the owners, by name and not by UID: an object made anew waits for the children of its predecessor to go. */
export const owning =
  (kind: string) =>
  ({ metadata }: Readonly<KubeObject>): string[] =>
    (metadata.ownerReferences ?? [])
      .filter((owner) => owner.kind === kind)
      .map(({ name }) => joinKey(metadata.namespace, name));

/**
 * Children that are yet to be made, but whose names others took. The caches hold only what Kadre made, so the API server
 * is asked: server-side apply would take such an object over without a word.
 */
export async function namesakes(
  { client }: Pick<Manager, 'client'>,
  owner: string,
  wanted: KubeObject[],
  children: KubeObject[],
): Promise<string[]> {
  const there = new Set(children.map(childKey));
  const missing = wanted.filter((child) => !there.has(childKey(child)));
  const found = await Promise.all(missing.map((child) => client.get(refOf(child))));
  return found
    .filter((object) => object !== undefined)
    .filter(({ metadata }) => !metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === owner))
    .map(childKey);
}

/** The API server understood and said no: quota, admission policy, an invalid field. Only a person can mend that. */
export function isRefusal(error: unknown): error is KubeError {
  return error instanceof KubeError && (isInvalid(error) || error.code === 403);
}
