// Reads the sources of Knowledge. Loaded for the first one that there is: what reads HTML and Git is much to keep in memory.
import type { RefreshRequest, Refreshed, Refresher } from '@kadre/knowledge';
import type { Store } from '@kadre/store';
import { ToolError, type ReadSecret } from '@kadre/tools';
import type { KubeClient } from '../kube/index.ts';

export interface DocumentReader {
  /** Throws what is no fault of a source. */
  refresh(request: RefreshRequest): Promise<Refreshed>;
  close(): Promise<void>;
}

interface ReaderOptions {
  client: KubeClient;
  store: Store;
  readSecret: (namespace: string, name: string) => Promise<Record<string, string> | undefined>;
  /** Whether documents may lie on this very machine: right in tests, wrong in a cluster. */
  allowLoopback: boolean;
}

export function createReader(options: ReaderOptions): DocumentReader {
  let opening: Promise<Opened> | undefined;
  return {
    refresh: async (request) => {
      opening ??= open(options);
      const { refresh, refresher } = await opening;
      const { namespace = '' } = request.knowledge.metadata;
      return refresh({ ...refresher, secret: secretsOf(namespace, options) }, request);
    },
    close: async () => (await opening)?.close(),
  };
}

interface Opened {
  refresh: (refresher: Refresher, request: RefreshRequest) => Promise<Refreshed>;
  refresher: Omit<Refresher, 'secret'>;
  close: () => Promise<void>;
}

async function open({ client, store, allowLoopback }: ReaderOptions): Promise<Opened> {
  const [{ createWeb, refresh }, { createOutlet }] = await Promise.all([
    import('@kadre/knowledge'),
    import('@kadre/tools'),
  ]);
  const outlet = createOutlet({ allowLoopback });
  const readConfigMap = async (namespace: string, name: string) => {
    const found = await client.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name });
    const { data = {}, binaryData = {} } = (found ?? {}) as { data?: Record<string, string>; binaryData?: object };
    return found && { data, binaryKeys: Object.keys(binaryData) };
  };
  return { refresh, refresher: { web: createWeb(outlet), readConfigMap, store }, close: () => outlet.close() };
}

const secretsOf =
  (namespace: string, { readSecret }: ReaderOptions): ReadSecret =>
  async (name, key) => {
    const value = (await readSecret(namespace, name))?.[key];
    if (value !== undefined) return value;
    const message = `There is no Secret ${name} with the key ${key} in namespace ${namespace}. Create it.`;
    throw new ToolError('misconfigured', message);
  };
