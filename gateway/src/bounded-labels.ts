// Names that users choose become labels of metrics, so their number is bounded.

/** Gives the first `capacity` names of namespaces labels of their own; the others share labels named `other`. */
export function boundedLabels<Label extends string>(
  label: Label,
  capacity: number,
): (namespace: string, name: string) => Record<Label | 'namespace', string> {
  const known = new Set<string>();
  const labels = (namespace: string, name: string) =>
    ({ namespace, [label]: name }) as Record<Label | 'namespace', string>;
  return (namespace, name) => {
    const pair = `${namespace}/${name}`;
    if (!known.has(pair)) {
      if (known.size >= capacity) return labels('other', 'other');
      known.add(pair);
    }
    return labels(namespace, name);
  };
}
