// What all kinds share: the group, object metadata and conditions.
import { z } from 'zod';
import { listMap } from './markers.ts';

export const GROUP = 'kadre.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** The part of Kubernetes' ObjectMeta that Kadre reads. Times are RFC 3339 strings, as on the wire. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** One custom resource as the API server serves it. */
export interface Resource<Spec, Status> {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec: Spec;
  status?: Status;
}

export const condition = z
  .object({
    type: z.string().max(316).describe('What the condition is about, such as Ready, Reconciling or Stalled.'),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether the condition holds.'),
    reason: z.string().max(1024).describe('One word in CamelCase that says why; stable, for programs.'),
    message: z.string().max(32768).describe('A sentence for people: what is wrong and how to mend it.'),
    lastTransitionTime: z.string().max(64).describe('When the status last changed, RFC 3339.'),
    observedGeneration: z.int().min(0).optional().describe('The generation of the spec that this condition judges.'),
  })
  .describe('One observed fact about this object.');

/** Fields that every status has. */
export const observedGeneration = z
  .int()
  .optional()
  .describe('The generation of the spec that this status speaks of; -1 before the operator has seen the object.');

export const conditions = z
  .array(condition)
  .max(16)
  .meta(listMap('type'))
  .optional()
  .describe('What is known about the object: Ready, and Reconciling or Stalled as kstatus reads them.');

export type Condition = z.infer<typeof condition>;
