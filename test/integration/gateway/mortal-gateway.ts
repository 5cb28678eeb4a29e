// A gateway in a process of its own, which may be killed at one chosen write: before it, or after it is safe but before
// anybody has heard of it. Arguments: the store's file, the address of its provider and its tool, the number of the write,
// before|after, and `approval` if people must approve the calls of its tool.
import type { Budget, Model, Tool } from '@kadre/crds';
import { createGateway } from '@kadre/gateway';
import { openSqliteStore, type Store } from '@kadre/store';
import pino from 'pino';

const [path = '', provider = '', at = '0', when = 'before', asks] = process.argv.slice(2);

const metadata = {
  namespace: 'team-a',
  uid: 'u',
  resourceVersion: '1',
  generation: 1,
  creationTimestamp: '2026-01-01T00:00:00Z',
};
const apiVersion = 'kadre.dev/v1alpha1';
const price = { inputPerMillion: '1000', outputPerMillion: '1000' };
const model: Model = {
  apiVersion,
  kind: 'Model',
  metadata: { ...metadata, name: 'm' },
  spec: { provider: 'openaiCompatible', model: 'm', baseUrl: provider, price },
};
const budget: Budget = {
  apiVersion,
  kind: 'Budget',
  metadata: { ...metadata, name: 'all' },
  spec: { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80, limits: { costUsd: '100' } },
};

const tool: Tool = {
  apiVersion,
  kind: 'Tool',
  metadata: { ...metadata, name: 't' },
  spec: {
    description: 'Counts.',
    http: { method: 'POST', url: provider, input: { schema: { type: 'object' } } },
    trust: 'trusted',
    consequential: true,
    ...(asks === 'approval' && { approval: {} }),
  },
};

const gateway = createGateway({
  models: { get: () => model, list: () => [model] },
  tools: { grants: () => [{ name: 't' }], get: () => tool },
  budgets: { list: () => [budget], ofAgent: () => undefined },
  secrets: { read: () => Promise.resolve(undefined) },
  authenticate: () => Promise.resolve({ namespace: 'team-a', serviceAccount: 'agent-researcher', uid: 'sa' }),
  store: mortal(openSqliteStore(path)),
  logger: pino({ level: 'silent' }),
  limits: { allowLoopback: true },
});
process.stdout.write(`${await gateway.listen({ host: '127.0.0.1', port: 0 })}\n`);

function mortal(store: Store): Store {
  let writes = 0;
  const fatal =
    <Given extends unknown[], Result>(write: (...given: Given) => Promise<Result>) =>
    async (...given: Given): Promise<Result> => {
      const strikes = ++writes === Number(at);
      if (strikes && when === 'before') die();
      const result = await write(...given);
      if (strikes) die();
      return result;
    };
  return {
    ...store,
    reserve: fatal((entry) => store.reserve(entry)),
    settle: fatal((id, spent, usage) => store.settle(id, spent, usage)),
    release: fatal((id) => store.release(id)),
    recordUsage: fatal((record) => store.recordUsage(record)),
    recordJournal: fatal((entry) => store.recordJournal(entry)),
  };
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}
