export { runInSandbox, type RunOptions, type SandboxPlace } from './client.ts';
export { SandboxFailure, type SandboxFault } from './failure.ts';
export type { SandboxCall, SandboxCaller, SandboxHost } from './host.ts';
export * from './protocol.ts';
export { createLaptopSandbox, notOnLaptop, type LaptopSandboxOptions } from './laptop.ts';
