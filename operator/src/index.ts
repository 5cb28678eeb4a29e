export { createOperator, type Operator, type OperatorOptions } from './operator.ts';
export {
  createEngineSources,
  createGatewaySources,
  type GatewaySources,
  type KubeSourcesOptions,
  type TokenIdentity,
} from './sources.ts';
export { createMcpSources, type McpSources } from './mcp-source.ts';
export { createTriggerSources, type TriggerSources } from './trigger/source.ts';
export { connect, type Connection } from './connect.ts';
export { LeaderElector, type LeaderElectorOptions } from './kube/index.ts';
export type { Settings } from './build/settings.ts';
