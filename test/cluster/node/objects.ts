import type { Api } from '../api.ts';
import { ensureVolumeDirectories } from './configuration.ts';
import type { NodeSettings } from './settings.ts';

const volumeCount = 16;
const rbac = 'rbac.authorization.k8s.io/v1';

/** Creates what a cluster is expected to have from its start: a default StorageClass with volumes, and rights for DNS. */
export async function applyObjects(api: Api, settings: NodeSettings): Promise<void> {
  const directories = ensureVolumeDirectories(settings, volumeCount);
  await Promise.all([
    api.apply('/apis/storage.k8s.io/v1/storageclasses/standard', storageClass),
    ...directories.map((directory, index) => applyVolume(api, settings, directory, index + 1)),
    api.apply(`/apis/${rbac}/clusterroles/kadre-coredns`, dnsRole),
    api.apply(`/apis/${rbac}/clusterrolebindings/kadre-coredns`, dnsRoleBinding),
  ]);
}

/** Labels the node as the machines of a GPU pool are labelled. The GPUs themselves come from the device plugin. */
export async function labelNode(api: Api, { nodeName }: NodeSettings, gpus: number): Promise<void> {
  const product = gpus > 0 ? 'Pretend-GPU' : null;
  const count = gpus > 0 ? String(gpus) : null;
  const labels = { 'nvidia.com/gpu.product': product, 'nvidia.com/gpu.count': count };
  await api.merge(`/api/v1/nodes/${nodeName}`, { metadata: { labels } });
}

const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
};

async function applyVolume(api: Api, { nodeName }: NodeSettings, directory: string, number: number): Promise<void> {
  const name = `kadre-volume-${String(number).padStart(2, '0')}`;
  const onNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] };
  await api.apply(`/api/v1/persistentvolumes/${name}`, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: '10Gi' },
      accessModes: ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany'],
      // The recycler empties it and offers it again.
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: storageClass.metadata.name,
      local: { path: directory },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  });
}

const readOnly = ['get', 'list', 'watch'];

const dnsRole = {
  apiVersion: rbac,
  kind: 'ClusterRole',
  metadata: { name: 'kadre-coredns' },
  rules: [
    { apiGroups: [''], resources: ['namespaces', 'pods', 'services'], verbs: readOnly },
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: readOnly },
  ],
};

const dnsRoleBinding = {
  apiVersion: rbac,
  kind: 'ClusterRoleBinding',
  metadata: { name: 'kadre-coredns' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kadre-coredns' },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'kadre:coredns' }],
};
