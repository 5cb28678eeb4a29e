// The Model Context Protocol on standard input and output, for a client on the same machine.
import type { RequestedRun } from '@kadre/store';
import { offersOf, type Offered } from './offers.ts';
import { answer, problem } from './result.ts';

interface StdioOptions {
  offered: Offered;
  namespace: string;
  /** Aborted when the client wants no answer any more, or has gone. */
  run: (spec: RequestedRun, signal: AbortSignal) => Promise<{ output: unknown } | { problem: string }>;
}

/** The client is gone when standard input ends. */
export async function serveMcpOverStdio({
  offered,
  namespace,
  run,
}: StdioOptions): Promise<{ close(): Promise<void> }> {
  const [{ serveStdio }, { mcpServer }] = await Promise.all([
    import('@modelcontextprotocol/server/stdio'),
    import('./protocol.ts'),
  ]);
  const offers = offersOf(offered, namespace);
  return serveStdio(() =>
    mcpServer({
      offers: () => offers,
      where: `namespace ${namespace}`,
      mayCall: () => true,
      run: async ({ spec, signal }) => {
        const end = await run(spec, signal);
        return 'output' in end ? answer(end.output) : problem(end.problem);
      },
    }),
  );
}
