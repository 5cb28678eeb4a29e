// Kadre's gateway as the control plane starts it: with a store on disk, metrics, and its log at the usual level. What an API
// server would tell it is told at once.
import { CALL_HEADER, STEP_HEADER, type Budget, type Model } from '@kadre/crds';
import { createGateway } from '@kadre/gateway';
import { mintStepToken, openStore } from '@kadre/store';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';

const namespace = 'bench';
const agent = 'fox';
const limited = process.env['BENCH_LIMITS'] === 'budget, journal';
const apiVersion = 'kadre.dev/v1alpha1';
const metadata = {
  namespace,
  uid: 'uid',
  resourceVersion: '1',
  generation: 1,
  creationTimestamp: '2026-01-01T00:00:00Z',
};

const models = new Map(['whole', 'stream', 'paced'].map((name) => [name, modelOf(name)]));
const budget: Budget = {
  apiVersion,
  kind: 'Budget',
  metadata: { ...metadata, name: 'all' },
  spec: { period: 'month', timeZone: 'UTC', action: 'block', warnAt: 80, limits: { costUsd: '1000000' } },
};

process.once('disconnect', () => process.exit(0));
const store = await openStore(join(process.env['BENCH_DATA'] ?? '', 'kadre.db'));
const gateway = createGateway({
  models: { get: (_namespace, name) => models.get(name), list: () => [...models.values()] },
  secrets: { read: () => Promise.resolve({ key: 'sk-none' }) },
  budgets: { list: () => (limited ? [budget] : []), ofAgent: () => undefined },
  authenticate: () => Promise.resolve({ namespace, serviceAccount: `agent-${agent}`, uid: 'uid', pod: 'fox-0' }),
  store,
  logger: pino({ level: 'info' }),
  registry: new Registry(),
  limits: { allowLoopback: true },
});
const url = `${await gateway.listen({ host: '127.0.0.1', port: 0 })}/v1/chat/completions`;
const claims = { run: 'run', step: 'step', attempt: 1, namespace, agent };
const token = mintStepToken(await store.secret('step-token'), claims, Date.now() + 86_400_000);
const headers = { authorization: 'Bearer token', ...(limited ? { [STEP_HEADER]: token } : {}) };
process.send?.({ url, headers, ...(limited ? { numbered: CALL_HEADER } : {}) });

function modelOf(name: string): Model {
  return {
    apiVersion,
    kind: 'Model',
    metadata: { ...metadata, name, uid: name },
    spec: {
      provider: 'openaiCompatible',
      model: name,
      baseUrl: process.env['BENCH_UPSTREAM'] ?? '',
      auth: { secretRef: { name: 'llm', key: 'key' } },
      price: { inputPerMillion: '0.25', outputPerMillion: '2' },
    },
  };
}
