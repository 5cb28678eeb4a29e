// Everything between a Run and a model: an engine, an agent's runtime, the gateway, a provider; and a collector that sees
// what they leave.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { createRuntime } from '@kadre/agent-runtime';
import { agentConfig } from '@kadre/crds';
import pino from 'pino';
import { ensurePython } from '../store/python.ts';
import { NAMESPACE, until } from '../gateway/bed.ts';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** A span as the collector has read it. */
export interface SeenSpan {
  name: string;
  kind: string;
  traceId: string;
  spanId: string;
  /** Empty if it has none. */
  parentSpanId: string;
  startMs: number;
  endMs: number;
  attributes: Record<string, unknown>;
  events: string[];
  failed: boolean;
  message: string;
  resource: Record<string, string>;
}

export interface Collector {
  url: string;
  spans: SeenSpan[];
  /** The first such span, once it is there. */
  span(holds: (span: SeenSpan) => boolean): Promise<SeenSpan>;
  close(): Promise<void>;
}

/** Decodes with the official definitions for Python, so that no mistake of the exporter's cancels itself out. */
export async function startCollector(): Promise<Collector> {
  const python = await ensurePython(['opentelemetry-proto==1.45.2', 'protobuf==7.36.2']);
  const child = spawn(python, [here('collector.py')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const spans: SeenSpan[] = [];
  const lines = createInterface({ input: child.stdout });
  const [port] = (await once(lines, 'line')) as [string];
  lines.on('line', (line) => spans.push(JSON.parse(line) as SeenSpan));
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    span: async (holds) => {
      await until(() => spans.some(holds));
      return spans.find(holds) as SeenSpan;
    },
    close: () => killed(child),
  };
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export interface Upstream {
  url: string;
  /** Headers of each request. */
  asked: IncomingHttpHeaders[];
  /** Called before each answer. */
  before: () => Promise<void> | void;
  /** What it answers with instead. */
  status: number;
  close(): Promise<void>;
}

/** A provider that says the same to everybody. */
export async function startUpstream(answer: string): Promise<Upstream> {
  const server = createServer((request, response) => {
    const reply = async (): Promise<void> => {
      const { stream } = JSON.parse(await text(request)) as { stream?: boolean };
      upstream.asked.push(request.headers);
      await upstream.before();
      if (upstream.status !== 200) {
        response.writeHead(upstream.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: `you asked for: ${answer}` } }));
        return;
      }
      const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
      const head = { id: 'chatcmpl-1', created: 1_700_000_000, model: 'm-2026', usage: null };
      const choice = { index: 0, finish_reason: 'stop' };
      if (!stream) {
        const choices = [{ ...choice, message: { role: 'assistant', content: answer } }];
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ ...head, object: 'chat.completion', choices, usage }));
        return;
      }
      response.setHeader('content-type', 'text/event-stream');
      const delta = { role: 'assistant', content: answer };
      const object = 'chat.completion.chunk';
      for (const chunk of [
        { ...head, object, choices: [{ ...choice, delta }] },
        { ...head, object, choices: [], usage },
      ])
        response.write(`data: ${JSON.stringify(chunk)}\n\n`);
      response.end('data: [DONE]\n\n');
    };
    reply().catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream: Upstream = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked: [],
    before: () => undefined,
    status: 200,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return upstream;
}

/** The agent that the gateway's bed knows by `token-a`. */
export async function startAgent(gatewayUrl: string, instructions: string) {
  const agent = agentConfig.parse({ name: 'researcher', namespace: NAMESPACE, instructions, model: 'm' });
  const runtime = await createRuntime(
    { agent, gatewayUrl },
    { token: () => Promise.resolve('token-a'), logger: pino({ level: 'silent' }) },
  );
  const url = await runtime.listen({ host: '127.0.0.1', port: 0 });
  return { url, close: () => runtime.shutdown(1000) };
}

/** An engine in a process of its own. */
export async function startEngineProcess(store: string, agentUrl: string, collectorUrl: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [here('engine-process.ts'), store, 'researcher', agentUrl, collectorUrl], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

/** Each span as `parent > name`, sorted. */
export function treeOf(spans: SeenSpan[]): string[] {
  const label = ({ name, attributes }: SeenSpan): string => {
    const step = attributes['kadre.step'];
    return typeof step === 'string' && name.startsWith('invoke_agent') ? `${name} ${step}` : name;
  };
  const byId = new Map(spans.map((span) => [span.spanId, label(span)]));
  return spans.map((span) => `${byId.get(span.parentSpanId) ?? '-'} > ${label(span)}`).sort();
}
