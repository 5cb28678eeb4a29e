// An agent's process, as its image runs it, behind a wire at which a test may see and stop each of its requests.
import { agentConfig, type AgentConfig } from '@kadre/crds';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

export interface RuntimeProcess {
  url: string;
  /** What it has logged. */
  log(): string;
  kill(): Promise<void>;
}

export async function startRuntime(
  main: string,
  gatewayUrl: string,
  agent: Partial<AgentConfig>,
): Promise<RuntimeProcess> {
  const tokenFile = join(main, '..', 'token');
  await writeFile(tokenFile, 'token-a');
  const config = agentConfig.parse({ name: 'researcher', namespace: 'team-a', instructions: 'Go on.', ...agent });
  const child: ChildProcess = spawn(process.execPath, [main, 'serve'], {
    env: {
      KADRE_AGENT: JSON.stringify(config),
      KADRE_GATEWAY_URL: gatewayUrl,
      KADRE_TOKEN_FILE: tokenFile,
      KADRE_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  let log = '';
  const port = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as Readable }).on('line', (line) => {
      log += `${line}\n`;
      const [, found] = /"url":"http:\/\/[^"]*:(\d+)"/.exec(line) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(`the agent did not start: ${log}`)));
  });
  return { url: `http://127.0.0.1:${port}`, log: () => log, kill };
}

export interface Wire {
  url: string;
  close(): Promise<void>;
}

/** What passes the wire: forwards the request and returns whether it came from the journal. */
export type Passage = (
  request: {
    call: string | undefined;
    traceparent: string | undefined;
    /** Aborted when the agent hangs up. */
    gone: AbortSignal;
  },
  forward: () => Promise<{ replayed: boolean }>,
) => Promise<void>;

/** Between an agent and its gateway. An answer that a passage does not wait for, or throws after, is not given. */
export async function startWire(target: string, passage: () => Passage): Promise<Wire> {
  const server = createServer((request, response) => {
    const pass = async (): Promise<void> => {
      if (request.url === '/healthz') return void response.end('ok');
      const body = await text(request);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      let give = (): void => void response.destroy();
      const forward = async (): Promise<{ replayed: boolean }> => {
        const reply = await fetch(`${target}${request.url ?? ''}`, {
          method: request.method ?? 'GET',
          headers: headersOf(request),
          body: request.method === 'POST' ? body : null,
          signal: gone.signal,
        });
        const answer = await reply.text();
        const type = reply.headers.get('content-type') ?? 'application/json';
        give = () => void response.writeHead(reply.status, { 'content-type': type }).end(answer);
        return { replayed: reply.headers.get('kadre-replayed') === 'true' };
      };
      const { 'kadre-call': call, traceparent } = headersOf(request);
      await passage()({ call, traceparent, gone: gone.signal }, forward);
      give();
    };
    pass().catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const passed = ['authorization', 'content-type', 'accept', 'kadre-step', 'kadre-call', 'traceparent'];
  return Object.fromEntries(
    passed.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  );
}
