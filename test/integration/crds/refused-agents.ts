// Wrong Agents, what the API server says to them, and what mends each.
import type { Refusal } from './refused-manifests.ts';

const agent = (fields: object) => ({ spec: { instructions: 'Be brief.', model: 'gpt', ...fields } });
const serving = (fields: object) => agent({ serving: fields });
const exposed = (fields: object) => serving({ expose: { host: 'agents.example.com', ...fields } });
const endpoint = (path: string) => serving({ endpoints: [{ path, prompt: 'Answer.' }] });
const onGpu = (resources: object) => agent({ runtime: { resources } });
const named = (name: string, fields: object) => ({ metadata: { name }, ...fields });

export const agentRefusals: Refusal[] = [
  {
    mistake: 'a name that no Service can have',
    kind: 'Agent',
    wrong: named('7th-agent', agent({})),
    message: 'becomes the name of a Service: it must begin with a letter',
    right: named('agent-7', agent({})),
  },
  {
    mistake: 'a name with dots, which no label can carry as a host',
    kind: 'Agent',
    wrong: named('agent.v2', agent({})),
    message: 'metadata.name must be a DNS label',
    right: named('agent-v2', agent({})),
  },
  {
    mistake: 'a name longer than a label',
    kind: 'Agent',
    wrong: named('a'.repeat(64), agent({})),
    message: 'at most 63',
    right: named('a'.repeat(63), agent({})),
  },
  {
    mistake: 'two doors',
    kind: 'Agent',
    wrong: exposed({ gateway: { name: 'public' }, ingress: {} }),
    where: 'spec.serving.expose',
    message: 'choose one door: set exactly one of gateway',
    right: exposed({ gateway: { name: 'public' } }),
  },
  {
    mistake: 'no door',
    kind: 'Agent',
    wrong: exposed({}),
    message: 'choose one door',
    right: exposed({ ingress: {} }),
  },
  {
    mistake: 'two issuers',
    kind: 'Agent',
    wrong: exposed({ ingress: { tls: { secretName: 't', issuer: 'a', clusterIssuer: 'b' } } }),
    message: 'keep issuer or clusterIssuer, not both',
    right: exposed({ ingress: { tls: { secretName: 't', clusterIssuer: 'b' } } }),
  },
  {
    mistake: 'a number of pods beside autoscaling',
    kind: 'Agent',
    wrong: serving({ replicas: 2, autoscaling: { maxReplicas: 4 } }),
    where: 'spec.serving.replicas',
    message: 'autoscaling chooses the number of pods; remove replicas or scale autoscaling.maxReplicas',
    right: serving({ replicas: 0, autoscaling: { maxReplicas: 4 } }),
  },
  {
    mistake: 'bounds that cross',
    kind: 'Agent',
    wrong: serving({ autoscaling: { minReplicas: 5, maxReplicas: 4 } }),
    message: 'minReplicas must not exceed maxReplicas',
    right: serving({ autoscaling: { minReplicas: 4, maxReplicas: 4 } }),
  },
  ...['/', '/health', '/healthz', '/readyz', '/metrics', '/generate', '/v1', '/v1/models', '/a2a', '/a2a/x'].map(
    (path): Refusal => ({
      mistake: `an endpoint at ${path}, where the agent itself answers`,
      kind: 'Agent',
      wrong: endpoint(path),
      message: 'the agent itself answers /, /health',
      right: endpoint(`/my${path === '/' ? '' : path}`),
    }),
  ),
  ...['/.well-known/agent-card.json', '/a/../health', '/./x'].map((path): Refusal => ({
    mistake: `an endpoint at ${path}`,
    kind: 'Agent',
    wrong: endpoint(path),
    message: 'no part of the path may begin with a dot',
    right: endpoint('/v1.5/a.json'),
  })),
  {
    mistake: 'an endpoint with a slash at its end',
    kind: 'Agent',
    wrong: endpoint('/health/'),
    where: 'spec.serving.endpoints[0].path',
    message: 'should match',
    right: endpoint('/healthy'),
  },
  {
    mistake: 'two endpoints at one path',
    kind: 'Agent',
    wrong: serving({
      endpoints: [
        { path: '/a', prompt: 'One.' },
        { path: '/a', prompt: 'Two.' },
      ],
    }),
    where: 'spec.serving.endpoints[1]',
    message: 'Duplicate value',
    right: serving({
      endpoints: [
        { path: '/a', prompt: 'One.' },
        { path: '/b', prompt: 'Two.' },
      ],
    }),
  },
  {
    mistake: "another agent's ServiceAccount",
    kind: 'Agent',
    wrong: agent({ runtime: { serviceAccountName: 'agent-other' } }),
    message: 'ServiceAccounts that begin with agent- belong to single agents; choose another name, or none',
    right: agent({ runtime: { serviceAccountName: 'team' } }),
  },
  {
    mistake: "a variable of Kadre's own",
    kind: 'Agent',
    wrong: agent({ runtime: { env: [{ name: 'KADRE_TOKEN_FILE', value: '/etc/passwd' }] } }),
    message: 'variables that begin with KADRE_ are set by Kadre; choose another name',
    right: agent({ runtime: { env: [{ name: 'KADRES', value: '1' }] } }),
  },
  {
    mistake: 'half a device as a resource',
    kind: 'Agent',
    wrong: onGpu({ limits: { 'nvidia.com/gpu': '0.5' } }),
    message: 'devices such as nvidia.com/gpu come in whole numbers',
    right: onGpu({ limits: { 'nvidia.com/gpu': '1', cpu: '0.5' } }),
  },
  {
    mistake: 'thousandths of a device',
    kind: 'Agent',
    wrong: onGpu({ limits: { 'nvidia.com/gpu': '500m' } }),
    message: 'come in whole numbers',
    right: onGpu({ limits: { 'nvidia.com/gpu': '2', memory: '1.5Gi' } }),
  },
  {
    mistake: 'fewer devices set aside than allowed',
    kind: 'Agent',
    wrong: onGpu({ requests: { 'nvidia.com/gpu': '1' }, limits: { 'nvidia.com/gpu': '2' } }),
    where: 'spec.runtime.resources.requests',
    message: 'devices such as nvidia.com/gpu cannot be overcommitted',
    right: onGpu({ requests: { 'nvidia.com/gpu': '2', cpu: '1' }, limits: { 'nvidia.com/gpu': '2', cpu: '2' } }),
  },
  {
    mistake: 'devices set aside without a limit',
    kind: 'Agent',
    wrong: onGpu({ requests: { 'nvidia.com/gpu': '1' } }),
    message: 'give limits the same number as requests',
    right: onGpu({ requests: { cpu: '1' } }),
  },
  {
    mistake: 'half a device of a pool',
    kind: 'Agent',
    wrong: agent({ runtime: { gpu: { pool: 'a100', count: 0.5 } } }),
    where: 'spec.runtime.gpu.count',
    message: 'must be of type integer: "number"',
    right: agent({ runtime: { gpu: { pool: 'a100', count: 2 } } }),
  },
  {
    mistake: 'a negative amount',
    kind: 'Agent',
    wrong: onGpu({ limits: { memory: '-1Gi' } }),
    where: 'spec.runtime.resources.limits.memory',
    message: 'should match',
    right: onGpu({ limits: { memory: '1Gi' } }),
  },
  {
    mistake: 'a host that is no host name',
    kind: 'Agent',
    wrong: exposed({ host: 'https://agents.example.com', ingress: {} }),
    where: 'spec.serving.expose.host',
    message: 'should match',
    right: exposed({ ingress: { className: 'traefik' }, path: '/researcher' }),
  },
  {
    mistake: 'memory where nobody calls',
    kind: 'Agent',
    wrong: agent({ memory: {} }),
    message: 'memory is of conversations with callers, and this agent has none: set serving',
    right: agent({ memory: {}, serving: {} }),
  },
  {
    mistake: 'memory under an account that others may have too',
    kind: 'Agent',
    wrong: agent({ memory: { turns: 9 }, serving: {}, runtime: { serviceAccountName: 'shared' } }),
    message: 'an agent with memory needs a ServiceAccount of its own',
    right: agent({ memory: { turns: 9 }, serving: {} }),
  },
];
