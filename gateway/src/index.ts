export { createGateway, type Gateway } from './gateway.ts';
export { agentOf } from './access/caller.ts';
export { ruleProblem } from './routing/rule.ts';
export type {
  Authenticator,
  BudgetSource,
  Clock,
  GatewayOptions,
  Identity,
  Limits,
  ModelSource,
  PriceSource,
  SecretSource,
  ToolSource,
} from './options.ts';
