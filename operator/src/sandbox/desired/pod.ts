// The pod of a sandbox: one runner, one program, and a wall around it.
import { labels, MANAGER, quantityValue, type SandboxSpec } from '@kadre/crds';
import { RUNNER_MEMORY_BYTES, SANDBOX_KEY_ENV, SANDBOX_PORT } from '@kadre/sandbox';
import { noDevices } from '../../build/devices.ts';
import { managedLabels } from '../../build/metadata.ts';
import { fromNamespace } from '../../build/network.ts';
import { literal, restrictedPod } from '../../build/pod.ts';
import type { Settings } from '../../build/settings.ts';
import type { Pod, PodSpec } from '../../build/wire.ts';
import type { KubeObject } from '../../kube/plan.ts';

export interface PoolIdentity {
  namespace: string;
  pool: string;
  spec: SandboxSpec;
}

/** Older than that, a sandbox that nobody has used is replaced. */
export const LONGEST_WAIT_SECONDS = 4 * 3600;
/** The longest program, and some time for what is around it. */
const LONGEST_USE_SECONDS = 3600 + 600;
const WORK = '/work';

const policyName = (pool: string): string => `sandbox-${pool}`;

const labelsOf = (pool: string) => ({ ...managedLabels('sandbox'), [labels.sandboxPool]: pool });

/** Undefined: there is no image to run. */
export const imageOf = ({ image }: SandboxSpec, { sandboxImage }: Settings): string | undefined =>
  image ?? sandboxImage;

/** @param one what tells this pod from the others, and what it wants to be shown */
export function desiredPod(
  { namespace, pool, spec }: PoolIdentity,
  settings: Settings,
  one: { suffix: string; key: string },
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${policyName(pool)}-${one.suffix}`, namespace, labels: labelsOf(pool) },
    spec: podSpec(spec, settings, one.key),
  };
}

function podSpec(spec: SandboxSpec, settings: Settings, key: string): PodSpec {
  const { runtimeClassName } = spec;
  const pod = restrictedPod({
    devices: noDevices,
    gatewayToken: false,
    ...(runtimeClassName !== undefined && { runtimeClassName }),
    container: {
      name: 'sandbox',
      image: imageOf(spec, settings) ?? '',
      ...(settings.imagePullPolicy && { imagePullPolicy: settings.imagePullPolicy }),
      env: [{ name: SANDBOX_KEY_ENV, value: literal(key) }],
      ports: [{ containerPort: SANDBOX_PORT, protocol: 'TCP' }],
      readinessProbe: {
        httpGet: { path: '/healthz', port: SANDBOX_PORT },
        periodSeconds: 1,
        timeoutSeconds: 1,
        failureThreshold: 3,
      },
      resources: { requests: amounts(spec, '64Mi'), limits: amounts(spec, '512Mi') },
    },
  });
  return {
    ...pod,
    hostname: 'sandbox',
    restartPolicy: 'Never',
    activeDeadlineSeconds: LONGEST_WAIT_SECONDS + LONGEST_USE_SECONDS,
    terminationGracePeriodSeconds: 1,
    // There is nobody to ask, and no need to tell what names the cluster has.
    dnsPolicy: 'None',
    dnsConfig: { nameservers: ['127.0.0.1'] },
    volumes: [{ name: 'work', emptyDir: { sizeLimit: '256Mi' } }],
    containers: pod.containers.map((container) => ({
      ...container,
      volumeMounts: [{ name: 'work', mountPath: WORK }],
    })),
  };
}

/** Requests are limits, so that a program gets what it was promised, and no more. */
const amounts = ({ memory, cpu }: SandboxSpec, storage: string) => ({
  cpu,
  memory: String(Math.ceil(quantityValue(memory)) + RUNNER_MEMORY_BYTES),
  'ephemeral-storage': storage,
});

/** Nothing gets out, and only the gateway gets in. */
export function desiredPolicy({ namespace, pool }: Omit<PoolIdentity, 'spec'>, settings: Settings): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: policyName(pool), namespace, labels: labelsOf(pool) },
    spec: {
      podSelector: { matchLabels: { [labels.sandboxPool]: pool } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          ports: [{ port: SANDBOX_PORT, protocol: 'TCP' }],
          from: [
            {
              namespaceSelector: fromNamespace(settings.systemNamespace),
              podSelector: { matchLabels: { [labels.name]: MANAGER } },
            },
          ],
        },
      ],
      egress: [],
    },
  };
}

/** Where the runner of a pod is, and its key; undefined if the pod is none of ours, or has no address. */
export function placeOf({ spec, status }: Readonly<Pod>): { url: string; key: string } | undefined {
  const key = spec?.containers?.[0]?.env?.find(({ name }) => name === SANDBOX_KEY_ENV)?.value;
  const address = status?.podIP;
  if (key === undefined || address === undefined) return undefined;
  return { url: `http://${address.includes(':') ? `[${address}]` : address}:${SANDBOX_PORT}`, key };
}
