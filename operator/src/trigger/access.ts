// Whether Kadre may watch what a Trigger names. Its own rights are narrow; an administrator widens them kind by kind.
import { usualResource, type WatchTrigger } from '@kadre/crds';
import type { KubeClient } from '../kube/index.ts';

export type Access = 'granted' | { reason: string; message: string };

/** Throws if the API server does not say. */
export async function accessTo(client: KubeClient, namespace: string, watch: WatchTrigger): Promise<Access> {
  const { apiVersion, kind } = watch;
  const found = await client.resourceOf(apiVersion, kind);
  if (!found) return { reason: 'KindNotServed', message: `This cluster has no ${kind} of ${apiVersion} now.` };
  if (!found.namespaced) {
    const message = `Objects of kind ${kind} belong to no namespace: a Trigger watches those of its own namespace.`;
    return { reason: 'NotNamespaced', message };
  }
  // Whoever made the Trigger was asked for their rights to this resource, and to no other.
  const resource = watch.resource ?? usualResource(kind);
  if (found.resource !== resource) {
    const message = `Set spec.watch.resource to ${found.resource}: that is the plural of ${kind}, not ${resource}.`;
    return { reason: 'ResourceMismatch', message };
  }
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  for (const verb of ['list', 'watch'])
    if (!(await mayDo(client, { namespace, group, resource, verb }))) return forbidden(namespace, group, resource);
  return 'granted';
}

async function mayDo(client: KubeClient, resourceAttributes: Record<string, string>): Promise<boolean> {
  const review = await client.create({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    // A review is answered and not kept; it needs no name.
    metadata: { name: '' },
    spec: { resourceAttributes },
  });
  return (review.status as { allowed?: boolean } | undefined)?.allowed === true;
}

function forbidden(namespace: string, group: string, resource: string): Access {
  const rule = `{apiGroups: ["${group}"], resources: ["${resource}"], verbs: ["get", "list", "watch"]}`;
  const message =
    `Kadre may not watch ${group === '' ? resource : `${resource}.${group}`} in namespace ${namespace}. ` +
    `An administrator can give its ServiceAccount a ClusterRole with the rule ${rule}.`;
  return { reason: 'Forbidden', message };
}
