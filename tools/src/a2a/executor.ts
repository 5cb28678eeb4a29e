// Agents anywhere that speak A2A. What speaks it is loaded with the first such Tool that is used.
import type { Clock, Executor } from '../executor.ts';
import type { Outlet } from '../net/outlet.ts';
import type { RemoteAgents } from './agents.ts';

export function a2aExecutor(outlet: Outlet, clock: Clock): Executor {
  let agents: Promise<RemoteAgents> | undefined;
  const load = () =>
    (agents ??= import('./agents.ts').then(({ createRemoteAgents }) => createRemoteAgents(outlet, clock)));
  return {
    describe: async (errand) => (await load()).describe(errand),
    call: async (errand, request) => (await load()).call(errand, request),
    close: async () => (await agents)?.close(),
  };
}
