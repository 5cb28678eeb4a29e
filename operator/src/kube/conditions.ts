// Conditions as Kubernetes and kstatus (Argo CD, Flux, kubectl wait) understand them. Pure: time is an argument.
// https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md

export interface KubeCondition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number | undefined;
}

export type NewCondition = Omit<KubeCondition, 'lastTransitionTime'>;

/** RFC 3339 in whole seconds, as `metav1.Time` is. `ms`: milliseconds since the epoch. */
const kubeTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/**
 * The conditions with `next` in its place; the others stay as and where they are.
 * `lastTransitionTime` changes only when the status flips.
 *
 * @param now milliseconds since the epoch
 */
export function setCondition(
  conditions: readonly KubeCondition[] | undefined,
  next: NewCondition,
  now: number,
): KubeCondition[] {
  const all = conditions ?? [];
  const old = all.find((each) => each.type === next.type);
  const lastTransitionTime = old?.status === next.status ? old.lastTransitionTime : kubeTime(now);
  const set: KubeCondition = { ...next, lastTransitionTime };
  return old ? all.map((each) => (each === old ? set : each)) : [...all, set];
}

export interface Health {
  /** Ready: works as the spec says. Progressing: on the way. Stalled: no way forward until somebody changes something. */
  state: 'ready' | 'progressing' | 'stalled';
  reason: string;
  /** Stable: no times, no counters, lists sorted. */
  message: string;
}

/** Ready, Reconciling and Stalled for one state of health. */
export function setHealth(
  conditions: readonly KubeCondition[] | undefined,
  health: Health,
  observedGeneration: number | undefined,
  now: number,
): KubeCondition[] {
  const { state, reason, message } = health;
  const about = { reason, message, ...(observedGeneration === undefined ? {} : { observedGeneration }) };
  const trio: NewCondition[] = [
    { ...about, type: 'Ready', status: state === 'ready' ? 'True' : 'False' },
    { ...about, type: 'Reconciling', status: state === 'progressing' ? 'True' : 'False' },
    { ...about, type: 'Stalled', status: state === 'stalled' ? 'True' : 'False' },
  ];
  return trio.reduce<KubeCondition[]>((all, next) => setCondition(all, next, now), [...(conditions ?? [])]);
}
