// An agent that answers at once, with the events with which Kadre's own runtime answers, and a bare HTTP server beside
// it.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Endpoints {
  /** URL of the agent. */
  agent: string;
  /** URL of the bare server. */
  bare: string;
}

process.once('disconnect', () => process.exit(0));
process.send?.({ agent: await listen(answerTask), bare: await listen(answerShortly) } satisfies Endpoints);

async function listen(answer: (body: string) => { type: string; body: string }): Promise<string> {
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { type, body } = answer(Buffer.concat(chunks).toString());
      response.writeHead(200, { 'content-type': type }).end(body);
    });
  };
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answerShortly(): { type: string; body: string } {
  return { type: 'application/json', body: '{"ok":true}' };
}

/** A2A 1.0: the task, its artifact, and that it is completed. */
function answerTask(body: string): { type: string; body: string } {
  const { id } = JSON.parse(body) as { id: number };
  const taskId = `task-${id}`;
  const contextId = taskId;
  const artifact = { artifactId: 'answer', parts: [{ text: 'Done.' }] };
  const events = [
    { task: { id: taskId, contextId, status: { state: 'TASK_STATE_WORKING' } } },
    { artifactUpdate: { taskId, contextId, artifact, lastChunk: true } },
    { statusUpdate: { taskId, contextId, status: { state: 'TASK_STATE_COMPLETED' } } },
  ];
  const lines = events.map((result) => `data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`);
  return { type: 'text/event-stream', body: lines.join('') };
}
