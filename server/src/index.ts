export { createServer, type Server } from './server.ts';
export type { McpSource, McpUser } from './mcp/options.ts';
export { serveMcpOverStdio } from './mcp/stdio.ts';
export type { Clock, Limits, RunStarter, SecretSource, ServerOptions, Started, TriggerSource } from './options.ts';
