// Stands between the gateway and a double, and keeps what was sent, word by word: doubles translate it at once.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Recorder {
  url: string;
  /** The last body, as text; undefined if nothing came. */
  last(): string | undefined;
  clear(): void;
  close(): Promise<void>;
}

export async function startRecorder(target: string): Promise<Recorder> {
  let last: string | undefined;
  const server = createServer((request, response) => {
    const pass = async (): Promise<void> => {
      const body = await text(request);
      last = body;
      const reply = await fetch(`${target}${request.url ?? ''}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: 'Bearer k', 'x-goog-api-key': 'k' },
        body,
      });
      const type = reply.headers.get('content-type') ?? 'application/json';
      response.writeHead(reply.status, { 'content-type': type }).end(await reply.text());
    };
    pass().catch((error: unknown) => response.writeHead(500).end(String(error)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    last: () => last,
    clear: () => {
      last = undefined;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
