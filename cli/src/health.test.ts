import { afterEach, describe, expect, test } from '@jest/globals';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, Registry } from 'prom-client';
import { serveHealth } from './health.ts';
import type { RoleHandle } from './role-handle.ts';

let server: Server;
afterEach(() => void server.close());

function role(name: RoleHandle['name'], state: { silent?: number; calls?: number } = {}): RoleHandle {
  const registry = new Registry();
  new Counter({ name: 'calls_total', help: 'Calls.', registers: [registry] }).inc(state.calls ?? 0);
  return {
    name,
    ready: () => true,
    silentFor: () => state.silent ?? 0,
    lag: () => ({ p99: 12, max: 34 }),
    metrics: () => registry.getMetricsAsJSON(),
    stop: () => Promise.resolve(),
  };
}

async function ask(path: string, roles: RoleHandle[], ready = true): Promise<{ status: number; text: string }> {
  server = await serveHealth(0, { roles: () => roles, ready: () => ready, registry: new Registry() });
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

describe('health', () => {
  test('is good while every role gives signs of life', async () => {
    expect(await ask('/healthz', [role('gateway'), role('engine')])).toMatchObject({ status: 200 });
  });

  test('is bad when a role is stuck, and says which', async () => {
    const answer = await ask('/healthz', [role('gateway'), role('engine', { silent: 61_000 })]);
    expect(answer.status).toBe(500);
    expect(answer.text).toContain('engine');
    expect(answer.text).not.toContain('gateway');
  });

  test('tells readiness apart from life', async () => {
    expect(await ask('/readyz', [role('gateway')], false)).toMatchObject({ status: 503 });
  });

  test('says what there is when asked for something else', async () => {
    const answer = await ask('/', []);
    expect(answer).toMatchObject({ status: 404, text: expect.stringContaining('/readyz') });
  });
});

test('metrics of the same name are told apart by role, with the lag of each event loop', async () => {
  const { text } = await ask('/metrics?x=1', [role('gateway', { calls: 3 }), role('engine', { calls: 5 })]);
  expect(text).toContain('calls_total{role="gateway"} 3');
  expect(text).toContain('calls_total{role="engine"} 5');
  expect(text).toMatch(/kadre_event_loop_lag_seconds\{[^}]*role="engine"[^}]*\} 0.012/);
});
