// The operator: turns Kadre's kinds into Kubernetes objects, feeds Runs to the engine and writes down what comes of them.
import type { WorkflowSpec } from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { Toolbox } from '@kadre/tools';
import { registerAgentController } from './agent/controller.ts';
import { registerApprovalController } from './approval/controller.ts';
import { registerBudgetController } from './budget/controller.ts';
import { operatorCaches } from './caches.ts';
import { registerGpuPoolController } from './gpu-pool/controller.ts';
import { Manager, systemClock, type Clock, type KubeClient, type KubeMetrics, type Log } from './kube/index.ts';
import { silentLog } from './kube/log.ts';
import { registerKnowledgeController } from './knowledge/controller.ts';
import { createReader } from './knowledge/reader.ts';
import { registerModelController } from './model/controller.ts';
import { registerJobController } from './run/job-controller.ts';
import { registerRunController } from './run/controller.ts';
import { registerRunRequestController } from './run-request/controller.ts';
import { registerSandboxController } from './sandbox/controller.ts';
import { readSecret } from './sources.ts';
import { registerToolController } from './tool/controller.ts';
import { registerTriggerController } from './trigger/controller.ts';
import { registerWorkflowController } from './workflow/controller.ts';
import type { Context } from './context.ts';
import type { Settings } from './build/settings.ts';

export interface OperatorOptions {
  client: KubeClient;
  store: Store;
  settings: Settings;
  /** What the engine finds wrong with a workflow. */
  validateWorkflow: (spec: WorkflowSpec) => { path: string; message: string }[];
  /** What the gateway finds wrong with the rule of a route; undefined if nothing. */
  ruleProblem: (rule: string) => Promise<string | undefined>;
  /** Asks Tools what they can do; whoever made it closes it. */
  toolbox: Pick<Toolbox, 'describe'>;
  /** Whether documents may lie on this very machine. Absent: they may not. */
  allowLoopback?: boolean;
  /** Name of this process in Events, such as the pod's. */
  instance: string;
  /** Those that Kadre is confined to. Absent: all. */
  namespaces?: string[];
  /** Whether writes may leave, asked before each: the lease is held. Absent: always. */
  gate?: () => boolean;
  /** Resolves when this process leads. Absent: it does. */
  elected?: Promise<unknown>;
  clock?: Clock;
  log?: Log;
  metrics?: KubeMetrics;
}

export interface Operator {
  /** Resolves when the caches are full, this process leads, and the controllers run. */
  start(): Promise<void>;
  /** Lets work under way finish until the deadline (ms). */
  stop(deadlineMs?: number): Promise<void>;
  /** All that must be known is known. A follower is ready as well. */
  ready(): boolean;
}

export function createOperator(options: OperatorOptions): Operator {
  const { client, store, settings, validateWorkflow, namespaces, clock = systemClock, log = silentLog } = options;
  const manager = new Manager({ ...options, clock, log });
  const context: Context = {
    manager,
    caches: operatorCaches(manager, namespaces),
    store,
    settings,
    validateWorkflow,
    ruleProblem: options.ruleProblem,
    toolbox: options.toolbox,
    readSecret: (namespace, name) => readSecret(client, namespace, name),
    clock,
    log,
  };
  const reader = createReader({ ...context, client, allowLoopback: options.allowLoopback ?? false });
  registerModelController(context);
  registerKnowledgeController(context, reader);
  registerToolController(context, registerSandboxController(context));
  registerAgentController(context);
  registerWorkflowController(context);
  registerGpuPoolController(context);
  registerRunController(context);
  registerRunRequestController(context);
  registerJobController(context);
  registerApprovalController(context);
  registerTriggerController(context);
  registerBudgetController(context);
  return {
    start: () => manager.start(),
    stop: async (deadlineMs) => {
      await manager.stop(deadlineMs);
      await reader.close();
    },
    ready: () => manager.hasSynced,
  };
}
