import type { Budget } from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { Spans } from '@kadre/telemetry';
import type { Logger } from 'pino';
import type { AgentDirectory } from './agents.ts';
import type { Clock } from './clock.ts';

export interface EngineOptions {
  store: Store;
  agents: AgentDirectory;
  /** The Budgets of a namespace, from a cache that is complete. Absent: there are none. */
  budgets?: { list(namespace: string): Budget[] };
  /** The address of the gateway, which calls tools and runs code for steps; may start it. Absent: such steps fail. */
  gateway?: () => Promise<string>;
  logger: Logger;
  /** Absent: runs leave no traces. */
  spans?: Spans;
  /** Aborts to stop the engine: tasks go on at their agents and are picked up again at the next start. */
  signal: AbortSignal;
  clock?: Clock;
  limits?: Partial<EngineLimits>;
}

/** Times in milliseconds. */
export interface EngineLimits {
  /** Tasks that one agent's service has from this engine at once; further ones wait their turn, fairly among runs. */
  tasksPerAgent: number;
  /** Jobs that are asked for at once. */
  jobs: number;
  /** Calls of tools, and programs, that the gateway is asked for at once. */
  gatewayCalls: number;
  /** How often the store is looked at for what a lost hint didn't tell. */
  poll: number;
  /** How many runs are at work in this engine at once; the others are left to other engines, or wait. */
  runs: number;
  /** How long this engine's seat is kept for it when it shows no sign of life; then others take its runs over. */
  seat: number;
  /** How long an agent may be out of reach, or have no room, before the attempt counts as failed. */
  agentPatience: number;
  /** How long the gateway may be away before a step that needs it counts as failed. */
  gatewayPatience: number;
  /** How long a stream may be silent before it is opened anew. */
  streamSilence: number;
  /** How long connecting, the first answer, and a short call may take. */
  agentResponse: number;
  /** How long stopping a task at its agent is tried. */
  stopGrace: number;
  /** How long a step's token is good beyond the step's timeout, or without one. */
  tokenLife: number;
}

export const defaultLimits: EngineLimits = {
  tasksPerAgent: 64,
  jobs: 500,
  gatewayCalls: 128,
  poll: 5_000,
  runs: 20_000,
  seat: 15_000,
  agentPatience: 30_000,
  gatewayPatience: 120_000,
  streamSilence: 60_000,
  agentResponse: 15_000,
  stopGrace: 10_000,
  tokenLife: 24 * 3_600_000,
};
