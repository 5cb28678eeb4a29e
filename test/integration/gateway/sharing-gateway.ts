// A gateway in a process of its own, over a store that it shares. Arguments: the store's URL, the provider's address.
import type { Model } from '@kadre/crds';
import { createGateway } from '@kadre/gateway';
import { openStore } from '@kadre/store';
import pino from 'pino';
import { HEARTBEAT_MS, SHARED_LIMITS } from './sharing.ts';

const [url = '', provider = ''] = process.argv.slice(2);

const model: Model = {
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Model',
  metadata: {
    namespace: 'team-a',
    name: 'm',
    uid: 'u',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { provider: 'openaiCompatible', model: 'm', baseUrl: provider, limits: SHARED_LIMITS },
};

const gateway = createGateway({
  models: { get: () => model, list: () => [model] },
  secrets: { read: () => Promise.resolve(undefined) },
  authenticate: () => Promise.resolve({ namespace: 'team-a', serviceAccount: 'agent-researcher', uid: 'sa' }),
  store: await openStore(url),
  logger: pino(),
  limits: { allowLoopback: true, heartbeatMs: HEARTBEAT_MS },
});
process.stdout.write(`${JSON.stringify({ url: await gateway.listen({ host: '127.0.0.1', port: 0 }) })}\n`);
