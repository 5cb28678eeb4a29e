// The one shape of pod that Kadre makes: it passes Pod Security "restricted", its root is read-only, it holds no token of
// the API server, and its only way to prove who it is is a token for the gateway that the kubelet rotates.
import { GATEWAY_AUDIENCE, TOKEN_MOUNT } from '@kadre/crds';
import type { ContainerSpec, EnvironmentVariable, PodSpec, Volume } from './wire.ts';
import type { Devices } from './devices.ts';

/** `nonroot` of distroless images; high enough to belong to nobody. */
const USER = 65532;
const TOKEN_LIFETIME_SECONDS = 3600;
export const TOKEN_FILE = `${TOKEN_MOUNT}/token`;

/**
 * Linux refuses to start a process with a single variable of 128 KiB or more ("argument list too long"); this leaves room
 * for its name.
 */
export const LARGEST_VARIABLE_BYTES = 130_000;

interface PodParts {
  container: ContainerSpec;
  devices: Devices;
  serviceAccountName?: string;
  /** Mount a token with which the pod can sign in at the gateway. */
  gatewayToken: boolean;
  runtimeClassName?: string;
}

export function restrictedPod(parts: PodParts): PodSpec {
  const { container, devices, serviceAccountName } = parts;
  const runtimeClassName = parts.runtimeClassName ?? devices.runtimeClassName;
  const volumes: Volume[] = [{ name: 'tmp', emptyDir: { sizeLimit: '256Mi' } }];
  const volumeMounts = [{ name: 'tmp', mountPath: '/tmp' }];
  if (parts.gatewayToken) {
    volumes.push({ name: 'gateway-token', projected: { defaultMode: 0o440, sources: [gatewayToken] } });
    volumeMounts.push({ name: 'gateway-token', mountPath: TOKEN_MOUNT });
  }
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(serviceAccountName !== undefined && { serviceAccountName }),
    ...(runtimeClassName !== undefined && { runtimeClassName }),
    ...(devices.nodeSelector && { nodeSelector: devices.nodeSelector }),
    ...(devices.tolerations && { tolerations: devices.tolerations as NonNullable<PodSpec['tolerations']> }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [{ ...container, volumeMounts, securityContext: lockedDown }],
    volumes,
  };
}

const gatewayToken = {
  serviceAccountToken: { audience: GATEWAY_AUDIENCE, expirationSeconds: TOKEN_LIFETIME_SECONDS, path: 'token' },
};

const lockedDown = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/**
 * Text that reaches the process as it is. Kubernetes would otherwise replace `$(NAME)` by the variable of that name, a
 * secret one included, and `$$` by `$`.
 */
export function literal(text: string): string {
  return text.replaceAll('$', () => '$$');
}

/** Users' variables first; those that Kadre sets win, and a name never comes twice (it is the key of the list). */
export function environment(
  chosen: { name: string; value: string }[] | undefined,
  own: EnvironmentVariable[],
): EnvironmentVariable[] {
  const taken = new Set(own.map((variable) => variable.name));
  const byName = new Map((chosen ?? []).map((variable) => [variable.name, variable]));
  return [...[...byName.values()].filter(({ name }) => !taken.has(name)), ...own];
}
