import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import {
  attemptSpanId,
  formatTraceparent,
  isSampled,
  parseTraceparent,
  randomSpanId,
  randomTraceId,
  runSpanId,
  runTraceId,
  startTracing,
  type Span,
  type TracingOptions,
} from './index.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

describe('ids', () => {
  test('of a run, its steps and their attempts are always the same, and never those of another', () => {
    const ids = [
      runSpanId('u1'),
      runSpanId('u2'),
      attemptSpanId('u1', 'draft', 1),
      attemptSpanId('u1', 'draft', 2),
      attemptSpanId('u1', 'draft[1]', 1),
      attemptSpanId('u2', 'draft', 1),
    ];
    expect(ids).toEqual([
      runSpanId('u1'),
      runSpanId('u2'),
      attemptSpanId('u1', 'draft', 1),
      attemptSpanId('u1', 'draft', 2),
      attemptSpanId('u1', 'draft[1]', 1),
      attemptSpanId('u2', 'draft', 1),
    ]);
    expect(new Set(ids).size).toBe(ids.length);
    expect(runTraceId('u1')).toMatch(/^[0-9a-f]{32}$/);
    expect(runTraceId('u1')).not.toBe(runTraceId('u2'));
  });

  test('are what the header wants', () => {
    const context = { traceId: randomTraceId(), spanId: randomSpanId(), sampled: true };
    expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
  });
});

describe('a traceparent', () => {
  test.each([
    ['is read', `00-${traceId}-${spanId}-01`, { traceId, spanId, sampled: true }],
    ['may not be sampled', `00-${traceId}-${spanId}-00`, { traceId, spanId, sampled: false }],
    ['may have flags that nobody knows yet', `00-${traceId}-${spanId}-fe`, { traceId, spanId, sampled: false }],
    ['of a later version may say more', `cc-${traceId}-${spanId}-01-more`, { traceId, spanId, sampled: true }],
    ['of this version may not', `00-${traceId}-${spanId}-01-more`, undefined],
    ['has no version ff', `ff-${traceId}-${spanId}-01`, undefined],
    ['has a trace', `00-${'0'.repeat(32)}-${spanId}-01`, undefined],
    ['has a span', `00-${traceId}-${'0'.repeat(16)}-01`, undefined],
    ['is in lower case', `00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
    ['is no longer than that', `00-${traceId}-${spanId}-0100`, undefined],
    ['is not endless', `cc-${traceId}-${spanId}-01-${'x'.repeat(1000)}`, undefined],
    ['is not two', [`00-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-01`], undefined],
    ['may not be there', undefined, undefined],
  ])('%s', (_, header, context) => {
    expect(parseTraceparent(header)).toEqual(context);
  });

  test('of any text is read or refused, and never breaks anything', () => {
    fc.assert(fc.property(fc.string(), (text) => parseTraceparent(text) === undefined));
  });
});

describe('sampling', () => {
  const ids = Array.from({ length: 4000 }, (_, run) => runTraceId(`run-${run}`));

  test('keeps about the part that it is told, and all or nothing at the ends', () => {
    const kept = (ratio: number): number => ids.filter((id) => isSampled(id, ratio)).length;
    expect([kept(0), kept(1)]).toEqual([0, ids.length]);
    expect(Math.abs(kept(0.25) / ids.length - 0.25)).toBeLessThan(0.05);
  });

  test('keeps with a larger part all that it keeps with a smaller one', () => {
    expect(ids.filter((id) => isSampled(id, 0.1) && !isSampled(id, 0.5))).toEqual([]);
  });
});

describe('a collector', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const collector = async (listener: RequestListener): Promise<string> => {
    const server = createServer(listener).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  const tracing = async (endpoint: string, limits: TracingOptions['limits'] = {}) => {
    const log: string[] = [];
    const registry = new Registry();
    const logger = pino({ level: 'debug' }, { write: (line: string) => void log.push(line) });
    const common = { sampleRatio: 1, service: 'kadre-test', version: '1', instance: 'test-0', logger, registry };
    const started = await startTracing({ ...common, endpoint, limits });
    const counted = async () => {
      const lines = (await registry.metrics()).split('\n').filter((line) => /^kadre_telemetry_\w+/.test(line));
      return Object.fromEntries(lines.map((line) => line.split(' ') as [string, string]));
    };
    return { ...started, counted, log };
  };

  const span = (name: string): Span => ({
    name,
    kind: 'internal',
    traceId,
    spanId,
    startedAt: 1,
    endedAt: 2,
    attributes: {},
  });

  test('is given all spans in batches at /v1/traces, the last ones when the process stops', async () => {
    const seen: { path: string | undefined; body: string }[] = [];
    const endpoint = await collector((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push({ path: request.url, body: Buffer.concat(chunks).toString('latin1') });
        response.end();
      });
    });
    const { spans, stop, counted } = await tracing(`${endpoint}/`, { batch: 2, delayMs: 1e6 });
    for (const name of ['span-a', 'span-b', 'span-c']) spans.add(span(name));
    await stop();
    expect(seen.map(({ path }) => path)).toEqual(['/v1/traces', '/v1/traces']);
    expect(seen.flatMap(({ body }) => body.match(/span-[abc]/g))).toEqual(['span-a', 'span-b', 'span-c']);
    expect(await counted()).toEqual({ kadre_telemetry_exported_total: '3' });
  });

  test('that hangs costs the spans for which there is no room, which are counted, and holds up no stop', async () => {
    const asked = jest.fn();
    const endpoint = await collector(asked);
    const { spans, stop, counted } = await tracing(endpoint, { queue: 3, batch: 1, sendMs: 30 });
    for (let n = 0; n < 10; n += 1) spans.add(span(`span-${n}`));
    await stop();
    expect(asked).toHaveBeenCalledTimes(1);
    expect(await counted()).toMatchObject({
      kadre_telemetry_exported_total: '0',
      'kadre_telemetry_dropped_total{reason="queue_full"}': '7',
      'kadre_telemetry_dropped_total{reason="not_sent"}': '3',
    });
  });

  test('that refuses, or is not there, is complained of once, without a word of what was sent', async () => {
    const endpoint = await collector((_, response) => void response.writeHead(400).end('you said span-1'));
    const { spans, stop, counted, log } = await tracing(endpoint, { batch: 1 });
    for (let n = 0; n < 3; n += 1) spans.add(span(`span-${n}`));
    await stop();
    expect(await counted()).toMatchObject({ 'kadre_telemetry_dropped_total{reason="not_sent"}': '3' });
    expect(log).toHaveLength(1);
    expect(log[0]).toContain('telemetry.otlpEndpoint');
    expect(log[0]).not.toContain('span-');
  });
});
