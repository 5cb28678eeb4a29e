// What a reconciler wants done, as plain data. Reconcilers decide; `execute` acts.

/** Any Kubernetes object on the wire: plain JSON, times as strings. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
    ownerReferences?: {
      apiVersion: string;
      kind: string;
      name: string;
      uid: string;
      controller?: boolean;
      blockOwnerDeletion?: boolean;
    }[];
  };
  [field: string]: unknown;
}

/** Names one object. `uid` guards against a namesake that came later. */
export interface ObjectRef {
  apiVersion: string;
  kind: string;
  namespace?: string;
  name: string;
  uid?: string;
}

export interface PlannedEvent {
  type: 'Normal' | 'Warning';
  /** CamelCase, stable. */
  reason: string;
  /** What was done, such as Create or Reconcile. */
  action: string;
  /** At most 1 kB. */
  note: string;
}

/** Carried out in this order: finalizers, creates and applies, deletes, one status write, then events. */
export interface Plan {
  /** The finalizers of Kadre that the object shall carry; those of others stay. */
  finalizers?: string[];
  /** Server-side apply with force. Skipped when the cached object already holds all that is desired. */
  apply?: KubeObject[];
  /** Created if absent; AlreadyExists is fine if the owner's UID is the same, else an error. */
  create?: KubeObject[];
  delete?: ObjectRef[];
  /** The whole status that Kadre owns. Not written when nothing changed. */
  status?: Record<string, unknown>;
  events?: PlannedEvent[];
  /** Milliseconds. */
  requeueAfter?: number;
}
