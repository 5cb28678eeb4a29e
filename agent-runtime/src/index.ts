export { createRuntime, AgentConfigError, type Runtime, type RuntimeConfig, type RuntimeDeps } from './runtime.ts';
export { runStep, type StepConfig, type StepDeps, type StepEnd } from './step/step.ts';
export { tokenFromFile, type TokenSource } from './credentials.ts';
export { AgentFailure } from './failure.ts';
