// What the gateway is given. It knows neither Kubernetes nor a kubeconfig: whoever starts it brings these.
import type {
  AgentGrant,
  AgentSpec,
  Budget,
  Knowledge,
  KnowledgeGrant,
  Model,
  Tool,
  ToolGrant,
  Workflow,
} from '@kadre/crds';
import type { SandboxHost } from '@kadre/sandbox';
import type { Store } from '@kadre/store';
import type { Spans } from '@kadre/telemetry';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';

/** The Models of the cluster, from a cache: answers at once and never throws. */
export interface ModelSource {
  get(namespace: string, name: string): Model | undefined;
  list(namespace: string): Model[];
}

/** A list of prices that overrides the bundled one, from a cache: answers at once and never throws. */
export interface PriceSource {
  /** JSON as `price/price-list.ts` has it; undefined if there is none. */
  current(): string | undefined;
}

/** What limits the calls of a namespace, from a cache: answers at once and never throws. */
export interface BudgetSource {
  list(namespace: string): Budget[];
  /** What one attempt of a step may use at this Agent. */
  ofAgent(namespace: string, agent: string): AgentSpec['limits'];
}

/** What agents may use, from a cache: answers at once and never throws. */
export interface ToolSource {
  /** `spec.tools` of the Agent; empty if there is no such Agent. */
  grants(namespace: string, agent: string): readonly ToolGrant[];
  get(namespace: string, name: string): Tool | undefined;
}

/** Agents as others may ask them, from a cache: answers at once and never throws. */
export interface AgentSource {
  /** `spec.agents` of the Agent; empty if there is no such Agent. */
  grants(namespace: string, agent: string): readonly AgentGrant[];
  /** Undefined if there is no such Agent, or somebody else serves it. */
  spec(namespace: string, name: string): AgentSpec | undefined;
  /** Where it is served: the base URL of its Service. */
  resolve(namespace: string, name: string): { found: boolean; serving: boolean; url?: string };
}

/** Which agents remember conversations, from a cache: answers at once and never throws. */
export interface MemorySource {
  /** How much of each; undefined if the agent has no memory. */
  ofAgent(namespace: string, agent: string): { turns: number; characters: number } | undefined;
}

/** What agents may search, from a cache: answers at once and never throws. */
export interface KnowledgeSource {
  /** `spec.knowledge` of the Agent; empty if there is no such Agent. */
  grants(namespace: string, agent: string): readonly KnowledgeGrant[];
  get(namespace: string, name: string): Knowledge | undefined;
}

/** The Workflows of the cluster, from a cache: answers at once and never throws. */
export interface WorkflowSource {
  get(namespace: string, name: string): Workflow | undefined;
}

export interface SecretSource {
  /** The decoded data of a Secret; `undefined` if it is not there. Throws if that cannot be found out. */
  read(namespace: string, name: string): Promise<Record<string, string> | undefined>;
}

/** Who presented a ServiceAccount token, as a TokenReview says. */
export interface Identity {
  namespace: string;
  serviceAccount: string;
  /** Name of the pod that the token is bound to. */
  pod?: string;
  /** UID of the ServiceAccount. */
  uid: string;
}

/** `undefined`: the token is not valid for the gateway's audience. Throws if that cannot be found out. */
export type Authenticator = (token: string) => Promise<Identity | undefined>;

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once after `ms` milliseconds; the returned function cancels. */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

export interface Limits {
  /** Bytes of a request's body. */
  requestBytes: number;
  /** Milliseconds in which a client must have sent its whole request. */
  requestMs: number;
  /** Milliseconds for which a client may leave a streamed answer unread. */
  slowClientMs: number;
  /** Requests in flight; more are turned away with 503. */
  concurrentRequests: number;
  /** Milliseconds that one call may take, from the request to the last byte. */
  callMs: number;
  /** Milliseconds of silence after which a provider counts as unavailable. */
  silenceMs: number;
  /** Bytes of a provider's answer. */
  answerBytes: number;
  /** Bytes of an image that the gateway fetches because the provider wants its content. */
  imageBytes: number;
  /** Milliseconds that calls in flight get to finish when the gateway closes. */
  drainMs: number;
  /** Milliseconds between signs of life among gateways that share a store, and with it the limits of Models. */
  heartbeatMs: number;
  /** Whether a Model may point at this very machine: right on a laptop and in tests, wrong in a cluster. */
  allowLoopback: boolean;
}

export const defaultLimits: Limits = {
  requestBytes: 4 * 1024 * 1024,
  requestMs: 30_000,
  slowClientMs: 30_000,
  concurrentRequests: 1024,
  callMs: 600_000,
  silenceMs: 120_000,
  answerBytes: 16 * 1024 * 1024,
  imageBytes: 8 * 1024 * 1024,
  drainMs: 10_000,
  heartbeatMs: 5_000,
  allowLoopback: false,
};

export type GatewayStore = Pick<
  Store,
  | 'secret'
  | 'job'
  | 'finishJob'
  | 'submission'
  | 'requestOfRun'
  | 'requestRun'
  | 'runRequest'
  | 'cancelRunRequest'
  | 'projection'
  | 'recordUsage'
  | 'reserve'
  | 'settle'
  | 'release'
  | 'countRefusal'
  | 'journalEntry'
  | 'recordJournal'
  | 'journalOf'
  | 'approval'
  | 'approvalsOfRun'
  | 'askApproval'
  | 'withdrawApproval'
  | 'subscribe'
  | 'recordDecisions'
  | 'claimChunks'
  | 'putVectors'
  | 'releaseChunks'
  | 'searchKnowledge'
  | 'turns'
  | 'conversationOf'
  | 'remember'
  | 'forgetConversation'
  | 'claimSandbox'
  | 'releaseSandbox'
  | 'seatGateway'
  | 'unseatGateway'
>;

export interface GatewayOptions {
  models: ModelSource;
  secrets: SecretSource;
  authenticate: Authenticator;
  /** Absent: the bundled prices alone. */
  prices?: PriceSource;
  /** Absent: there are no Budgets, and Agents have no limits; those of runs hold all the same. */
  budgets?: BudgetSource;
  /** Absent: there is nothing to search, and nothing is indexed. */
  knowledge?: KnowledgeSource;
  /** Absent: there are no Tools. */
  tools?: ToolSource;
  /** Absent: no Tool is a Workflow. */
  workflows?: WorkflowSource;
  /** Absent: no agent may ask another one. */
  agents?: AgentSource;
  /** Absent: no agent remembers conversations. */
  memory?: MemorySource;
  /** Where code runs. Absent: in pods, which the operator offers in the store. */
  sandboxes?: SandboxHost;
  store: GatewayStore;
  logger: Logger;
  /** Absent: no metrics are kept and `/metrics` is not there. */
  registry?: Registry;
  /** Absent: calls leave no traces. */
  spans?: Spans;
  /** Such as cluster.local, for servers of Tools that Kadre runs. Absent: their names end in .svc. */
  clusterDomain?: string;
  clock?: Clock;
  limits?: Partial<Limits>;
  /** Whether what the gateway rests on (caches, store) is there; `/readyz` asks. Absent: always. */
  ready?: () => boolean;
}
