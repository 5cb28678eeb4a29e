import { withAppliedHash } from '../kube/apply.ts';
import { APPLIED_ANNOTATION } from './metadata.ts';
import type { KubeObject, ObjectRef } from '../kube/plan.ts';

/** Kind and name: what tells an owner's children apart, all being in one namespace. */
export function childKey(object: { kind: string; metadata: { name: string } }): string {
  return `${object.kind}/${object.metadata.name}`;
}

export function refOf(object: KubeObject): ObjectRef {
  const { name, namespace, uid } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace !== undefined && { namespace }),
    ...(uid !== undefined && { uid }),
  };
}

/** Children to delete: there, but neither wanted nor on their way out already. */
export function unwanted(children: KubeObject[], wanted: { kind: string; metadata: { name: string } }[]): ObjectRef[] {
  const keep = new Set(wanted.map(childKey));
  return children
    .filter((child) => !keep.has(childKey(child)) && child.metadata.deletionTimestamp === undefined)
    .map(refOf);
}

/** Made from this very desired state. What others changed since is put right without a word. */
export function isInPlace(children: KubeObject[], desired: KubeObject): boolean {
  const current = children.find((child) => childKey(child) === childKey(desired));
  const applied = withAppliedHash(desired, APPLIED_ANNOTATION).metadata.annotations?.[APPLIED_ANNOTATION];
  return current?.metadata.annotations?.[APPLIED_ANNOTATION] === applied;
}
