// Tools on servers of the Model Context Protocol. What speaks it is loaded with the first such Tool that is used.
import type { ToolboxOptions } from '../toolbox-options.ts';
import type { Clock, Executor } from '../executor.ts';
import type { Outlet } from '../net/outlet.ts';
import type { McpClients } from './clients.ts';

export function mcpExecutor(outlet: Outlet, clock: Clock, options: NonNullable<ToolboxOptions['mcp']>): Executor {
  let clients: Promise<McpClients> | undefined;
  const load = () =>
    (clients ??= import('./clients.ts').then(({ createMcpClients }) => createMcpClients(outlet, clock, options)));
  return {
    describe: async (errand) => (await load()).describe(errand),
    call: async (errand, request) => (await load()).call(errand, request),
    close: async () => {
      await (await clients)?.close();
    },
  };
}
