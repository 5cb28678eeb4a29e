// Where sandboxes are found: the operator offers pods that are ready, and the gateway claims one for one program.
import type { SandboxSpec } from '@kadre/crds';
import { createHash } from 'node:crypto';

/** A pod that is ready for one program. */
export interface SandboxOffer {
  /** UID of the pod. */
  id: string;
  namespace: string;
  /** Those of one pool are alike: see {@link sandboxPool}. */
  pool: string;
  url: string;
  /** What the pod wants to be shown. */
  key: string;
}

export type SandboxPlace = Pick<SandboxOffer, 'id' | 'url' | 'key'>;

/** Somebody wants to run one program. */
export interface SandboxClaim {
  /** Names the program, and is never used for another one. */
  id: string;
  namespace: string;
  spec: SandboxSpec;
}

export interface OfferedSandbox {
  id: string;
  /** spent: its program is over, or nobody shall have it: all that is left to do is to delete the pod. */
  state: 'free' | 'taken' | 'spent';
}

export interface SandboxPool {
  offered: OfferedSandbox[];
  /** Claims that have found nothing yet, oldest first. */
  waiting: SandboxClaim[];
}

export interface Sandboxes {
  // operator
  /** `false` if it was offered before, whatever has become of it since. */
  offerSandbox(offer: SandboxOffer): Promise<boolean>;
  /** Nobody shall claim it any more. `false`: somebody has it, or it was never offered. Idempotent. */
  withdrawSandbox(id: string): Promise<boolean>;
  /** The pod is gone: only then is it forgotten, so that none is offered twice. Idempotent. */
  forgetSandbox(id: string): Promise<void>;
  sandboxPool(namespace: string, pool: string): Promise<SandboxPool>;
  /** Namespaces and pools of which anything is known. */
  sandboxPools(): Promise<{ namespace: string; pool: string }[]>;

  // gateway
  /**
   * Takes the oldest that is free, or waits in line: ask again when the topic `sandboxes` tells. Idempotent by id. Each
   * time the claim is good for another `ttl` milliseconds; after that the sandbox is spent, or the claim forgotten.
   */
  claimSandbox(claim: SandboxClaim, ttl: number): Promise<SandboxPlace | undefined>;
  /** The program is over, or not wanted any more. Idempotent. */
  releaseSandbox(claim: string): Promise<void>;
}

/** The name of what is alike: whoever wants the same sandbox gets the same name. */
export function sandboxPool({ image = '', runtimeClassName = '', memory, cpu }: SandboxSpec): string {
  const parts = JSON.stringify([image, runtimeClassName, memory, cpu]);
  return createHash('sha256').update(parts).digest('hex').slice(0, 16);
}

/** How hints name a pool. */
export const sandboxPoolKey = (namespace: string, pool: string): string => `${namespace}/${pool}`;
