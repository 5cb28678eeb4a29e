// Watches as benchmarks need them: each change of an object, until enough is seen.
import type { Connection } from '@kadre/operator';

type Client = Connection['client'];
type WatchEvent = Awaited<ReturnType<Client['watch']>>['events'] extends AsyncIterable<infer Event> ? Event : never;

export interface Watching {
  close(): void;
  /** Resolves when the watch was closed; rejects if it broke. */
  ended: Promise<void>;
}

export async function watchObjects(
  client: Client,
  kind: { apiVersion: string; kind: string },
  namespace: string,
  seen: (object: WatchEvent['object'], type: WatchEvent['type']) => void,
): Promise<Watching> {
  const { events, close } = await client.watch(kind, { namespace, timeoutSeconds: 3600 });
  let closed = false;
  const read = async () => {
    try {
      for await (const { type, object } of events) if (type !== 'BOOKMARK') seen(object, type);
    } catch (error) {
      // Closing a watch ends it with an error, which is what was asked for.
      if (!closed) throw error;
    }
  };
  const ended = read();
  return {
    ended,
    close: () => {
      closed = true;
      close();
    },
  };
}
