// A provider that answers when the test says so.
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HeldProvider {
  url: string;
  /** The prompts of all calls, as they came. */
  asked: string[];
  /** The prompts of those that wait for their answer, the oldest first. */
  held(): string[];
  /** Answers the oldest; with an HTTP error if a status is given. */
  answer(status?: number, headers?: Record<string, string>): void;
  /** From now on each call is answered at once. Absent: held again. */
  always(status: number | undefined): void;
  close(): Promise<void>;
}

export async function startHeldProvider(): Promise<HeldProvider> {
  const asked: string[] = [];
  const open = new Map<ServerResponse, string>();
  let standing: number | undefined;
  const send = (response: ServerResponse, status: number, headers: Record<string, string>): void => {
    open.delete(response);
    const choices = [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }];
    const usage = { prompt_tokens: 5, completion_tokens: 3 };
    const body = status === 200 ? { id: 'x', choices, usage } : { error: { message: 'no' } };
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      const { messages } = JSON.parse(text) as { messages: { content: string }[] };
      const prompt = messages[0]?.content ?? '';
      asked.push(prompt);
      open.set(response, prompt);
      response.once('close', () => open.delete(response));
      if (standing !== undefined) send(response, standing, {});
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    held: () => [...open.values()],
    answer: (status = 200, headers = {}) => {
      const [response] = open.keys();
      if (!response) throw new Error('nobody waits for an answer');
      send(response, status, headers);
    },
    always: (status) => {
      standing = status;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
