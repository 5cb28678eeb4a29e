// What to do about an agent, given everything that is known of it.
import { configExcess } from '../build/agent-pod.ts';
import { devicesOf, noDevices } from '../build/devices.ts';
import { childKey, isInPlace, unwanted } from '../build/wanted.ts';
import { news } from '../build/readiness.ts';
import { desiredChildren } from './desired/children.ts';
import { agentStatus } from './status.ts';
import type { AgentStatus } from '@kadre/crds';
import type { AgentSnapshot } from './observe.ts';
import type { Health } from '../kube/conditions.ts';
import type { KubeObject, Plan } from '../kube/plan.ts';

/** Missing things that the operator can't watch are looked for again this often. */
const RECHECK_MS = 15_000;

export function decideAgent(snapshot: AgentSnapshot, now: Date): Plan {
  const { agent, foreign, accountMissing } = snapshot;
  // The garbage collector takes the children.
  if (agent.metadata.deletionTimestamp !== undefined) return {};
  const tooLarge = specTooLarge(snapshot);
  if (tooLarge) return judged(snapshot, agentStatus(snapshot, tooLarge, [], now), {});

  const children = childrenOf(snapshot);
  const apply = children.filter((child) => !isFrozen(snapshot, child) && !foreign.includes(childKey(child)));
  const pending = apply.filter((child) => !isInPlace(snapshot.children, child)).map(childKey);
  const status = agentStatus(snapshot, referenceProblem(snapshot) ?? nameConflict(snapshot), pending, now);
  const recheck = foreign.length > 0 || accountMissing || waitsForGatewayApi(snapshot);
  return judged(snapshot, status, {
    apply,
    delete: unwanted(snapshot.children, children),
    ...(recheck && { requeueAfter: RECHECK_MS }),
  });
}

/** What to say when the API server refuses a child. */
export function rejectedAgent(snapshot: AgentSnapshot, message: string, now: Date): Plan {
  return judged(snapshot, agentStatus(snapshot, stalled('Rejected', message), [], now), {});
}

function waitsForGatewayApi({ agent, routes }: AgentSnapshot): boolean {
  return agent.spec.serving?.expose?.gateway !== undefined && !routes;
}

/** All children, including those that must not be touched for now: {@link isFrozen}. */
export function childrenOf({ agent, settings, pool, routes }: AgentSnapshot): KubeObject[] {
  const request = agent.spec.runtime?.gpu;
  const devices = request && pool ? devicesOf(pool, request) : noDevices;
  return desiredChildren({ agent, settings, devices }, routes);
}

/** Without its GpuPool a Deployment can't be said to be right or wrong: it stays as it is. */
function isFrozen({ agent, pool }: AgentSnapshot, child: KubeObject): boolean {
  return child.kind === 'Deployment' && agent.spec.runtime?.gpu !== undefined && pool === undefined;
}

function specTooLarge({ agent }: AgentSnapshot): Health | undefined {
  const excess = configExcess(agent);
  if (excess > 0) return stalled('SpecTooLarge', `Instructions and endpoints are ${excess} bytes too long together.`);
  return undefined;
}

function referenceProblem({ agent, pool, accountMissing }: AgentSnapshot): Health | undefined {
  const { gpu, serviceAccountName } = agent.spec.runtime ?? {};
  if (gpu && !pool)
    return stalled(
      'GpuPoolNotFound',
      `There is no GpuPool ${gpu.pool}. Ask an administrator for it, or name another one.`,
    );
  if (accountMissing) {
    const where = agent.metadata.namespace ?? '';
    return stalled(
      'ServiceAccountNotFound',
      `There is no ServiceAccount ${serviceAccountName ?? ''} in namespace ${where}. Create it.`,
    );
  }
  return undefined;
}

function nameConflict({ foreign }: AgentSnapshot): Health | undefined {
  if (foreign.length === 0) return undefined;
  return stalled('NameConflict', `${foreign.join(', ')} belongs to somebody else. Delete it, or rename the agent.`);
}

function stalled(reason: string, message: string): Health {
  return { state: 'stalled', reason, message };
}

function judged({ agent }: AgentSnapshot, status: AgentStatus, rest: Plan): Plan {
  return { ...rest, status: { ...status }, ...news(agent.status?.conditions, status.conditions ?? []) };
}
