import type { Resources } from '@kadre/crds';

type Amounts = Record<string, string>;

const defaults: { requests: Amounts; limits: Amounts } = {
  requests: { cpu: '50m', memory: '128Mi', 'ephemeral-storage': '64Mi' },
  limits: { cpu: '1', memory: '512Mi', 'ephemeral-storage': '1Gi' },
};

export interface CompleteResources {
  requests: Amounts;
  limits: Amounts;
}

/**
 * Requests and limits for CPU, memory and ephemeral storage: whoever names one of the two for a resource gets it for both,
 * so that a default can never contradict it (a request above its limit is refused). `devices` are whole numbers, and
 * Kubernetes wants requests and limits of them to be equal.
 */
export function completeResources(chosen: Resources | undefined, devices: Amounts = {}): CompleteResources {
  const requests: Amounts = {};
  const limits: Amounts = {};
  const names = [defaults.requests, chosen?.requests, chosen?.limits].flatMap((amounts) => Object.keys(amounts ?? {}));
  for (const name of new Set(names)) {
    const request = chosen?.requests?.[name] ?? chosen?.limits?.[name] ?? defaults.requests[name];
    const limit = chosen?.limits?.[name] ?? chosen?.requests?.[name] ?? defaults.limits[name];
    if (request !== undefined) requests[name] = request;
    if (limit !== undefined) limits[name] = limit;
  }
  return { requests: { ...requests, ...devices }, limits: { ...limits, ...devices } };
}
