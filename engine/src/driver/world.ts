// What all runs of one engine share.
import type { A2AConnection } from '@kadre/a2a';
import type { RunQueue } from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { Spans } from '@kadre/telemetry';
import type { Logger } from 'pino';
import type { Admission } from './admission.ts';
import type { AgentDirectory } from './agents.ts';
import type { Clock } from './clock.ts';
import type { GatewayConnection } from './gateway/connection.ts';
import type { AttemptName } from './jobs.ts';
import type { EngineLimits } from './options.ts';
import type { Queues } from './queues.ts';

export interface World {
  store: Store;
  agents: AgentDirectory;
  logger: Logger;
  spans: Spans | undefined;
  clock: Clock;
  limits: EngineLimits;
  signal: AbortSignal;
  connection: A2AConnection;
  /** Undefined: this engine has none. */
  gateway: GatewayConnection | undefined;
  admission: Admission;
  queues: Queues;
  /** The queues that budgets are to a run of the workflow or agent. */
  budgetQueues: (namespace: string, subject: string) => RunQueue[];
  /** A step token, good until the step's timeout and some time more. */
  mint: (name: AttemptName, agent: string, timeout?: number, job?: string) => string;
  /** The token with which this engine asks the gateway itself, good for the next question. */
  mintOwn: (name: AttemptName) => string;
}
