// The tables of metrics in docs/observability.md, against what a gateway and an agent have under /metrics.
import { readFile } from 'node:fs/promises';
import { createRuntime } from '@kadre/agent-runtime';
import { agentConfig, STEP_HEADER } from '@kadre/crds';
import { mintStepToken } from '@kadre/store';
import { startTracing } from '@kadre/telemetry';
import { expect, test } from '@jest/globals';
import pino from 'pino';
import { Registry } from 'prom-client';
import { NAMESPACE, startBed, step, user } from '../gateway/bed.ts';

const logger = pino({ level: 'silent' });

interface Row {
  name: string;
  type: string;
  labels: string[];
}

/** Rows of the tables below the heading: | `name` | type | `label`, `label` | what it says | */
async function documented(heading: string): Promise<Row[]> {
  const page = await readFile(new URL('../../../docs/observability.md', import.meta.url), 'utf8');
  const section = new RegExp(`^### ${heading}$([^]*?)(?=^##|(?![^]))`, 'm').exec(page)?.[1] ?? '';
  const rows = section.matchAll(/^\| `(kadre_\w+)` +\| (\w+) +\| ([^|]*)\|/gm);
  const labelsIn = (cell: string): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).sort();
  return [...rows].map(([, name = '', type = '', labels = '']) => ({ name, type, labels: labelsIn(labels) }));
}

const byName = (one: Row, other: Row): number => one.name.localeCompare(other.name);

test('every metric of the gateway is in the manual, with its type and labels, and no other is', async () => {
  const registry = new Registry();
  const { spans, stop } = await startTracing({
    ...{ endpoint: 'http://127.0.0.1:1', sampleRatio: 0, service: 'x', version: '1', instance: 'x', logger, registry },
  });
  const bed = await startBed({ registry, spans });
  const kept = registry.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[];
  const rows = kept.map(({ name, type, labelNames }) => ({ name, type, labels: [...labelNames].sort() }));
  expect((await documented('Gateway')).sort(byName)).toEqual(rows.sort(byName));
  await bed.close();
  await stop();
});

test('every metric of an agent is in the manual, with its type, and no other is', async () => {
  const agent = agentConfig.parse({ name: 'a', namespace: NAMESPACE, instructions: 'x', model: 'm' });
  const runtime = await createRuntime(
    { agent, gatewayUrl: 'http://127.0.0.1:1' },
    { token: () => Promise.resolve('x'), logger },
  );
  const url = await runtime.listen({ host: '127.0.0.1', port: 0 });
  const text = await (await fetch(`${url}/metrics`)).text();
  await runtime.shutdown(100);
  const kept = [...text.matchAll(/^# TYPE (kadre_\w+) (\w+)$/gm)].map(([, name = '', type = '']) => ({ name, type }));
  const rows = (await documented('Agents')).map(({ name, type }) => ({ name, type }));
  expect(rows.sort((a, b) => a.name.localeCompare(b.name))).toEqual(kept.sort((a, b) => a.name.localeCompare(b.name)));
});

test('what an agent uses is counted for it: requests, tokens of each kind, cost, attempts, replays, failures', async () => {
  const registry = new Registry();
  const bed = await startBed({ registry });
  const usage = {
    inputTokens: 100,
    cachedInputTokens: 40,
    cacheWriteTokens: 10,
    outputTokens: 50,
    reasoningTokens: 20,
  };
  bed.model('m', {
    simulated: { script: [{ reply: 'ok', usage }] },
    price: { inputPerMillion: '1000', outputPerMillion: '1000' },
  });
  const token = mintStepToken(await bed.store.secret('step-token'), step, Date.now() + 60_000);
  const client = bed.client('token-a', { [STEP_HEADER]: token, 'kadre-call': '1' });
  const call = { model: 'm', messages: user('hi') };
  await client.chat.completions.create(call);
  await client.chat.completions.create(call);
  const other = client.chat.completions.create({ ...call, messages: user('something else') });
  await expect(other).rejects.toThrow();
  await expect(bed.client('wrong').models.list()).rejects.toThrow();
  // A request is counted when its connection has nothing more to say.
  await bed.gateway.close();
  const lines = (await registry.metrics()).split('\n');
  const agent = 'namespace="team-a",agent="researcher"';
  expect(lines).toEqual(
    expect.arrayContaining([
      `kadre_gateway_agent_requests_total{${agent},code="200"} 2`,
      `kadre_gateway_agent_requests_total{${agent},code="JournalDiverged"} 1`,
      `kadre_gateway_agent_replays_total{${agent}} 1`,
      `kadre_gateway_agent_tokens_total{${agent},type="input"} 100`,
      `kadre_gateway_agent_tokens_total{${agent},type="cached_input"} 40`,
      `kadre_gateway_agent_tokens_total{${agent},type="cache_write"} 10`,
      `kadre_gateway_agent_tokens_total{${agent},type="output"} 50`,
      `kadre_gateway_agent_tokens_total{${agent},type="reasoning"} 20`,
      'kadre_gateway_attempts_total{namespace="team-a",model="m",code="ok"} 1',
    ]),
  );
  expect(lines.find((line) => line.startsWith('kadre_gateway_agent_cost_usd_total'))).toMatch(/ 0\.1\d*$/);
  await bed.close();
});
