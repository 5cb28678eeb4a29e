// Labels, annotations and finalizers that Kadre sets. Nothing else of a user's metadata is copied to children.
export const labels = {
  /** Which Agent an object belongs to. */
  agent: 'kadre.dev/agent',
  /** Whose server a pod is: the name of a Tool. */
  tool: 'kadre.dev/tool',
  /** Which sandboxes are alike. */
  sandboxPool: 'kadre.dev/sandbox-pool',
  /** Which Run, by UID. */
  run: 'kadre.dev/run',
  /** Which Run, by name. */
  runName: 'kadre.dev/run-name',
  /** Which step, made safe for a label. */
  step: 'kadre.dev/step',
  /** Which Trigger started a Run, by name. */
  trigger: 'kadre.dev/trigger',
  /** Which Trigger, by UID. */
  triggerUid: 'kadre.dev/trigger-uid',
  /** Which GpuPool a pod takes devices from. */
  gpuPool: 'kadre.dev/gpu-pool',
  /** On a Workflow or an Agent: `mcp` offers it to whoever may create Runs, as a tool of the Model Context Protocol. */
  offer: 'kadre.dev/offer',
  managedBy: 'app.kubernetes.io/managed-by',
  name: 'app.kubernetes.io/name',
  component: 'app.kubernetes.io/component',
} as const;

export const MANAGER = 'kadre';

export const annotations = {
  /** The full id of the step, such as research[2]. */
  step: 'kadre.dev/step',
  attempt: 'kadre.dev/attempt',
  /** On a Run that a Trigger started: for which time, delivery or change. */
  cause: 'kadre.dev/cause',
  /** On a Run that somebody without rights in Kubernetes asked for: key of the request in the store. */
  request: 'kadre.dev/request',
  /** Key of the job request in the store. */
  job: 'kadre.dev/job',
} as const;

export const finalizers = {
  /** Keeps a GpuPool while pods of Kadre hold its devices. */
  gpuPoolInUse: 'kadre.dev/in-use',
} as const;
