// What Pod Security "restricted" and Kadre's own rules forbid, for tests.
import type { ContainerSpec, PodSpec } from './wire.ts';

/** Names each rule that the pod breaks. */
export function violations(pod: PodSpec): string[] {
  const broken: string[] = [];
  const must = (holds: boolean, rule: string) => {
    if (!holds) broken.push(rule);
  };
  must(!pod.hostNetwork && !pod.hostPID && !pod.hostIPC, 'no namespaces of the host');
  must(pod.securityContext?.runAsNonRoot === true, 'runAsNonRoot');
  must((pod.securityContext?.runAsUser ?? 0) > 10_000, 'a high UID');
  must(pod.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'seccomp RuntimeDefault');
  must(pod.automountServiceAccountToken === false, 'no token of the API server');
  for (const volume of pod.volumes ?? []) {
    must(
      volume.emptyDir?.sizeLimit !== undefined || volume.projected !== undefined,
      `volume ${volume.name} is bounded`,
    );
    const sources = volume.projected?.sources ?? [];
    must(
      sources.every(({ serviceAccountToken }) => serviceAccountToken?.audience === 'kadre-gateway'),
      'tokens are for the gateway alone',
    );
  }
  for (const container of pod.containers) broken.push(...containerViolations(container));
  return broken;
}

function containerViolations({ name, securityContext, resources }: ContainerSpec): string[] {
  const rules: Record<string, boolean> = {
    'no privilege escalation': securityContext?.allowPrivilegeEscalation === false,
    'drop ALL': securityContext?.capabilities?.drop?.includes('ALL') === true,
    'no added capabilities': (securityContext?.capabilities?.add ?? []).length === 0,
    'not privileged': securityContext?.privileged !== true,
    'read-only root': securityContext?.readOnlyRootFilesystem === true,
  };
  for (const resource of ['cpu', 'memory', 'ephemeral-storage']) {
    rules[`request of ${resource}`] = resources?.requests?.[resource] !== undefined;
    rules[`limit of ${resource}`] = resources?.limits?.[resource] !== undefined;
  }
  return Object.entries(rules)
    .filter(([, holds]) => !holds)
    .map(([rule]) => `${name}: ${rule}`);
}
