export { agentRunWorkflow } from './core/agent-run.ts';
export { calledWorkflows, walkSteps } from './core/compile/walk.ts';
export type { Problem } from './core/plan.ts';
export type { AgentDirectory } from './driver/agents.ts';
export { systemClock, type Clock } from './driver/clock.ts';
export { startEngine, type Engine } from './driver/engine.ts';
export { schemaProblem } from './driver/input.ts';
export type { EngineLimits, EngineOptions } from './driver/options.ts';
export { validateWorkflow } from './validate-workflow.ts';
