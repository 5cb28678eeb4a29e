// The few fields of built-in kinds that Kadre reads, as they are on the wire.
import type * as client from '@kubernetes/client-node';
import type { KubeObject } from '../kube/plan.ts';

/** A type of the official client as plain JSON: no classes, times as strings. */
type Wire<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Field in keyof T]: Wire<T[Field]> }
      : T;

export type ContainerSpec = Wire<client.V1Container>;
export type DeploymentSpec = Wire<client.V1DeploymentSpec>;
export type EnvironmentVariable = Wire<client.V1EnvVar>;
export type JobSpec = Wire<client.V1JobSpec>;
export type PodSpec = Wire<client.V1PodSpec>;
export type Volume = Wire<client.V1Volume>;

interface WireCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  observedGeneration?: number;
}

interface ContainerState {
  waiting?: { reason?: string; message?: string };
  terminated?: { exitCode: number; reason?: string; message?: string };
}

export interface ContainerStatus {
  name: string;
  image?: string;
  restartCount?: number;
  state?: ContainerState;
  lastState?: ContainerState;
}

interface Container {
  name: string;
  image?: string;
  resources?: { requests?: Record<string, string> };
  env?: { name: string; value?: string }[];
}

export interface Pod extends KubeObject {
  spec?: { nodeName?: string; containers?: Container[] };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    podIP?: string;
    conditions?: WireCondition[];
    containerStatuses?: ContainerStatus[];
  };
}

export interface Deployment extends KubeObject {
  spec?: { replicas?: number };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    conditions?: WireCondition[];
  };
}

export interface Job extends KubeObject {
  spec?: { suspend?: boolean; template?: { spec?: { containers?: Container[] } } };
  status?: { active?: number; conditions?: WireCondition[] };
}

export interface Node extends KubeObject {
  status?: { allocatable?: Record<string, string> };
}

export interface HttpRoute extends KubeObject {
  status?: { parents?: { parentRef: { name: string }; conditions?: WireCondition[] }[] };
}

export function conditionOf(conditions: WireCondition[] | undefined, type: string): WireCondition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isTrue(conditions: WireCondition[] | undefined, type: string): boolean {
  return conditionOf(conditions, type)?.status === 'True';
}
