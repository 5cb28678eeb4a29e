// What the API server knows from its schemas and we only from this table: which lists are merged by which key, which
// strings are quantities, and which empty values it does not store.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy

export type ListRule =
  /** Items are scalars, each on its own. */
  | { type: 'set' }
  /** Items are found by a key, each on its own. */
  | { type: 'map'; keyOf: (item: unknown) => string }
  /** One value; the API server fills in defaults within its items. */
  | { type: 'atomic' }
  /** One value, stored as it was sent. */
  | { type: 'exact' };

const fieldOf = (item: unknown, name: string): unknown =>
  typeof item === 'object' && item !== null ? (item as Record<string, unknown>)[name] : undefined;

const by =
  (...fields: string[]) =>
  (item: unknown): string =>
    JSON.stringify(fields.map((field) => fieldOf(item, field) ?? (field === 'protocol' ? 'TCP' : null)));

const mapKeys = new Map(
  Object.entries({
    containers: by('name'),
    initContainers: by('name'),
    ephemeralContainers: by('name'),
    env: by('name'),
    volumes: by('name'),
    volumeMounts: by('mountPath'),
    volumeDevices: by('devicePath'),
    volumeClaimTemplates: by('name'),
    imagePullSecrets: by('name'),
    hostAliases: by('ip'),
    topologySpreadConstraints: by('topologyKey', 'whenUnsatisfiable'),
    resourceClaims: by('name'),
    claims: by('name'),
    schedulingGates: by('name'),
    secrets: by('name'),
    conditions: by('type'),
    ownerReferences: by('uid'),
    listeners: by('name'),
  }),
);

const sets = new Set(['finalizers']);
const exact = new Set(['tolerations', 'command', 'args', 'accessModes', 'policyTypes']);

/** @param path names of the fields that lead to the list */
export function listRule(kind: string, path: readonly string[], items: readonly unknown[]): ListRule {
  const field = path.at(-1) ?? '';
  if (sets.has(field)) return { type: 'set' };
  if (exact.has(field)) return { type: 'exact' };
  if (field === 'ports') return portsRule(kind, items);
  const keyOf = mapKeys.get(field);
  return keyOf ? { type: 'map', keyOf } : { type: 'atomic' };
}

/** Container ports and service ports are merged by number and protocol; those of other kinds are one value. */
function portsRule(kind: string, items: readonly unknown[]): ListRule {
  if (items.some((item) => fieldOf(item, 'containerPort') !== undefined)) {
    return { type: 'map', keyOf: by('containerPort', 'protocol') };
  }
  return kind === 'Service' ? { type: 'map', keyOf: by('port', 'protocol') } : { type: 'atomic' };
}

const quantityMaps = new Set(['limits', 'requests', 'capacity', 'overhead', 'hard', 'allocatable']);
const quantityFields = new Set(['sizeLimit', 'averageValue', 'divisor']);

/** Only there are strings compared by value: elsewhere "1k" and "1000" are two things. */
export function isQuantityPath(path: readonly string[]): boolean {
  const field = path.at(-1) ?? '';
  const parent = path.at(-2) ?? '';
  return quantityMaps.has(parent) || quantityFields.has(field) || (parent === 'target' && field === 'value');
}

/** Maps that are dropped when empty. Others, such as emptyDir and podSelector, mean something by being there. */
const droppedMaps = new Set([
  ...['labels', 'annotations', 'matchLabels', 'nodeSelector', 'selector', 'parameters'],
  ...['limits', 'requests', 'overhead', 'data', 'binaryData'],
]);

/** Flags and numbers whose zero value means the same as their absence, and is not stored. */
const droppedZeros = new Set([
  ...['hostNetwork', 'hostPID', 'hostIPC', 'stdin', 'stdinOnce', 'tty', 'readOnly', 'publishNotReadyAddresses'],
  ...['initialDelaySeconds', 'minReadySeconds', 'paused', 'subPath'],
]);

/** Whether the API server may leave out `value`, so that its absence is no difference. */
export function mayBeOmitted(value: unknown, path: readonly string[]): boolean {
  const field = path.at(-1) ?? '';
  if (value === '') return true;
  if (value === false || value === 0) return droppedZeros.has(field);
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0 && droppedMaps.has(field);
}
