export { agentRunWorkflow } from './core/agent-run.ts';
export { calledWorkflows, walkSteps } from './core/compile/walk.ts';
export { meant } from './core/expression/suggest.ts';
export type { Problem } from './core/plan.ts';
export { decisionRecords } from './core/record.ts';
export type { AgentDirectory } from './driver/agents.ts';
export { systemClock, type Clock } from './driver/clock.ts';
export { startEngine, type Engine } from './driver/engine.ts';
export { schemaProblem } from './driver/input.ts';
export type { EngineLimits, EngineOptions } from './driver/options.ts';
export { replayRun } from './driver/replay.ts';
export { parseDuration } from './core/duration.ts';
export { planTrigger, type TriggerPlan } from './trigger/plan.ts';
export {
  deliveryKey,
  passes,
  startName,
  startOf,
  TriggerError,
  type Cause,
  type Happening,
  type RunManifest,
  type Start,
} from './trigger/start.ts';
export { validateWorkflow } from './validate-workflow.ts';
