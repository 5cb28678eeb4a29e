// Since Kubernetes 1.35 resourceVersions are promised to be decimal numbers that rise, and in practice they always were.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions

const decimal = /^[1-9][0-9]*$/;

/** Whether version `a` is certainly newer than `b`; false for versions that are no numbers. */
export function isNewer(a: string, b: string): boolean {
  if (!decimal.test(a) || !decimal.test(b)) return false;
  return a.length === b.length ? a > b : a.length > b.length;
}
