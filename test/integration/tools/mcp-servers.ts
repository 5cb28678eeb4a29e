// Servers of the Model Context Protocol: the reference one of 2025, one of 2026 by the official SDK, and liars.
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { freePort } from '../../support/free-port.ts';

export interface Running {
  url: string;
  stop(): Promise<void>;
}

const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'));

/** With sessions, and streams that can be taken up again. */
export async function startEverything(port?: number): Promise<Running & { port: number }> {
  const chosen = port ?? (await freePort());
  const child = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
    env: { PATH: process.env['PATH'], PORT: String(chosen) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`the server ended: ${said}`)));
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('listening on port')) resolve();
    });
  });
  return {
    url: `http://127.0.0.1:${chosen}/mcp`,
    port: chosen,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

export interface Modern extends Running {
  /** What calls bore, each a line of its own. */
  calls: {
    name: string;
    key: unknown;
    header: string | null;
    authorization: string | null;
    traceparent: string | null;
  }[];
  cancelled: string[];
  eras: Set<string>;
}

/** Without sessions: each request stands alone. */
export async function startModern(): Promise<Modern> {
  const calls: Modern['calls'] = [];
  const cancelled: string[] = [];
  const eras = new Set<string>();
  const handler = createMcpHandler((request) => {
    eras.add(request.era);
    const server = new McpServer({ name: 'modern', version: '1.2.3' });
    server.registerTool(
      'add',
      {
        description: 'Adds.',
        inputSchema: z.object({ a: z.number(), b: z.number() }),
        outputSchema: z.object({ sum: z.number() }),
      },
      ({ a, b }, context) => {
        const headers = context.http?.req?.headers;
        calls.push({
          name: 'add',
          key: context.mcpReq._meta?.['kadre.dev/idempotency-key'],
          header: headers?.get('idempotency-key') ?? null,
          authorization: headers?.get('authorization') ?? null,
          traceparent: headers?.get('traceparent') ?? null,
        });
        return { content: [{ type: 'text', text: String(a + b) }], structuredContent: { sum: a + b } };
      },
    );
    server.registerTool('wait', { description: 'Never ends.', inputSchema: z.object({}) }, async (_args, context) => {
      const { signal } = context.mcpReq;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      cancelled.push('wait');
      return { content: [] };
    });
    server.registerTool('fail', { description: 'Fails.', inputSchema: z.object({}) }, () => ({
      content: [{ type: 'text', text: 'no luck' }],
      isError: true,
    }));
    server.registerTool('large', { description: 'Large.', inputSchema: z.object({}) }, () => ({
      content: [{ type: 'text', text: 'x'.repeat(5000) }],
    }));
    return server;
  });
  const server = createServer(toNodeHandler(handler) as RequestListener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    calls,
    cancelled,
    eras,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
