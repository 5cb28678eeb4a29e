// Watches as benchmarks need them: each change of an object, until enough is seen.
import type { Connection } from '@kadre/operator';

type Client = Connection['client'];
type WatchEvent = Awaited<ReturnType<Client['watch']>>['events'] extends AsyncIterable<infer Event> ? Event : never;

export interface Watching {
  close(): void;
  /** Resolves when the watch was closed; rejects if it broke. */
  ended: Promise<void>;
}

/** Tells of objects as they are and as they change. The API server may end a watch at any time; then it is begun anew. */
export async function watchObjects(
  client: Client,
  kind: { apiVersion: string; kind: string },
  namespace: string,
  seen: (object: WatchEvent['object']) => void,
): Promise<Watching> {
  const begin = () => client.watch(kind, { namespace, timeoutSeconds: 600, sendInitialEvents: true });
  const state = { closed: false, watch: await begin() };
  const open = () => !state.closed;
  const read = async () => {
    while (open()) {
      for await (const { type, object } of untilItBreaks(state.watch.events)) if (type !== 'BOOKMARK') seen(object);
      state.watch.close();
      if (open()) state.watch = await begin();
    }
  };
  const ended = read();
  return {
    ended,
    close: () => {
      state.closed = true;
      state.watch.close();
    },
  };
}

/** A watch that is closed, by us or by the server, may end with an error; either way there is nothing more to come. */
async function* untilItBreaks(events: AsyncIterable<WatchEvent>): AsyncGenerator<WatchEvent> {
  const iterator = events[Symbol.asyncIterator]();
  for (;;) {
    const result = await iterator.next().catch(() => undefined);
    if (!result || result.done === true) return;
    yield result.value;
  }
}
