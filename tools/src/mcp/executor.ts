// Tools on servers of the Model Context Protocol. What speaks it is loaded with the first such Tool that is used.
import type { Executor } from '../executor.ts';
import type { McpClients, McpOptions } from './clients.ts';

export function mcpExecutor(options: McpOptions): Executor {
  let clients: Promise<McpClients> | undefined;
  const load = () => (clients ??= import('./clients.ts').then(({ createMcpClients }) => createMcpClients(options)));
  return {
    describe: async (errand) => (await load()).describe(errand),
    call: async (errand, request) => (await load()).call(errand, request),
    close: async () => {
      await (await clients)?.close();
    },
  };
}
