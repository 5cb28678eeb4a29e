export { createServer, type Server } from './server.ts';
export type { Clock, Limits, RunStarter, SecretSource, ServerOptions, Started, TriggerSource } from './options.ts';
