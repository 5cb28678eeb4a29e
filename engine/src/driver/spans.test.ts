import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { attribute, runSpanId, runTraceId, type Span } from '@kadre/telemetry';
import { startAgent, type AgentServer, type Behaviour } from '../testing/agent-server.ts';
import { Bench, until } from '../testing/bench.ts';

let bench: Bench;
let servers: AgentServer[];
let seen: Span[];
beforeEach(async () => {
  bench = await Bench.make();
  servers = [];
  seen = [];
  bench.spans = { sampled: () => true, add: (span) => seen.push(span) };
});
afterEach(async () => {
  await bench.cleanUp();
  await Promise.all(servers.map((server) => server.close()));
});

async function serve(name: string, behave: Behaviour): Promise<void> {
  const server = await startAgent(behave);
  servers.push(server);
  bench.agents[name] = server.url;
}

/** Each span as `parent > name step/attempt error`. */
function tree(): string[] {
  const label = ({ name, attributes, error }: Span): string =>
    [name, attributes[attribute.step], attributes[attribute.attempt], error]
      .filter((part) => part !== undefined)
      .join(' ');
  const byId = new Map(seen.map((span) => [span.spanId, label(span)]));
  return seen.map((span) => `${byId.get(span.parentSpanId ?? '') ?? '-'} > ${label(span)}`).sort();
}

const allWritten = () => until(() => seen.find(({ spanId }) => spanId === runSpanId('u1')));

test('the spans of a run make a tree as its steps do: groups, called workflows, retries, rounds and fallbacks', async () => {
  await serve('writer', ({ key }) => {
    if (key === 'flaky/1' || key === 'risky/1') return { fail: 'no', reason: 'ModelFailed' };
    return { text: 'ok' };
  });
  const ask = { agent: { name: 'writer', prompt: 'x' } };
  await bench.startEngine();
  await bench.submit(
    {
      steps: [
        { name: 'flaky', retry: { limit: 1, backoff: { initial: '1ms' } }, ...ask },
        {
          name: 'group',
          needs: ['flaky'],
          steps: [
            { name: 'inner', ...ask },
            { name: 'sum', value: 1 },
          ],
        },
        { name: 'call', needs: ['group'], workflow: { name: 'callee' } },
        { name: 'risky', needs: ['call'], onError: { fallback: [{ name: 'plan-b', ...ask }] }, ...ask },
        { name: 'again', needs: ['risky'], repeat: { max: 2, until: '$(round == 2)' }, ...ask },
      ],
    },
    null,
    'u1',
    { workflows: { callee: { steps: [{ name: 'deep', ...ask }] } } },
  );
  const { failure } = await bench.over();
  expect(failure).toBeUndefined();
  await allWritten();
  expect(tree()).toEqual(
    [
      '- > invoke_workflow test',
      'invoke_workflow test > invoke_agent writer flaky 1 ModelFailed',
      'invoke_workflow test > invoke_agent writer flaky 2',
      'invoke_workflow test > step group group 1',
      'step group group 1 > invoke_agent writer group.inner 1',
      'invoke_workflow test > invoke_workflow callee call 1',
      'invoke_workflow callee call 1 > invoke_agent writer call.deep 1',
      'invoke_workflow test > invoke_agent writer risky 1 ModelFailed',
      'invoke_workflow test > invoke_agent writer risky.fallback.plan-b 1',
      'invoke_workflow test > invoke_agent writer again#1 1',
      'invoke_workflow test > invoke_agent writer again#2 1',
    ].sort(),
  );
  expect(new Set(seen.map(({ traceId }) => traceId))).toEqual(new Set([runTraceId('u1')]));
  for (const { startedAt, endedAt } of seen) expect(endedAt).toBeGreaterThanOrEqual(startedAt);
});

test('an engine that takes a run over leaves the same spans, and none twice', async () => {
  let answer = (): void => undefined;
  const held = new Promise<void>((resolve) => (answer = resolve));
  await serve('writer', async ({ key }) => {
    if (key === 'two/1') await held;
    return { text: 'ok' };
  });
  const ask = { agent: { name: 'writer', prompt: 'x' } };
  await bench.startEngine();
  await bench.submit({
    steps: [
      { name: 'one', ...ask },
      { name: 'two', needs: ['one'], ...ask },
    ],
  });
  await until(() => servers[0]?.asked.find(({ key }) => key === 'two/1'));
  await bench.stopEngine();
  const before = seen.length;
  await bench.startEngine();
  answer();
  await bench.over();
  await allWritten();
  expect(before).toBe(1);
  expect(tree()).toEqual([
    '- > invoke_workflow test',
    'invoke_workflow test > invoke_agent writer one 1',
    'invoke_workflow test > invoke_agent writer two 1',
  ]);
});

test('a run that fails, or is cancelled, says so by its reason and shows nothing that was said', async () => {
  await serve('writer', ({ key }) => (key === 'one/1' ? { text: 'canary' } : new Promise(() => undefined)));
  await bench.startEngine();
  await bench.submit(
    {
      steps: [
        { name: 'one', agent: { name: 'writer', prompt: 'canary' } },
        { name: 'two', needs: ['one'], agent: { name: 'writer', prompt: 'canary' } },
      ],
    },
    { text: 'canary' },
  );
  await until(() => servers[0]?.asked.find(({ key }) => key === 'two/1'));
  await bench.store.cancelRun('u1', 'canary');
  await bench.over();
  await allWritten();
  expect(tree()).toEqual([
    '- > invoke_workflow test Cancelled',
    'invoke_workflow test Cancelled > invoke_agent writer one 1',
    'invoke_workflow test Cancelled > invoke_agent writer two 1 Cancelled',
  ]);
  expect(JSON.stringify(seen)).not.toContain('canary');
});

test('a run whose trace is not kept leaves no spans', async () => {
  await serve('writer', () => ({ text: 'ok' }));
  bench.spans = { sampled: () => false, add: (span) => seen.push(span) };
  await bench.startEngine();
  await bench.submit({ steps: [{ name: 'one', agent: { name: 'writer', prompt: 'x' } }] });
  await bench.over();
  await bench.stopEngine();
  expect(seen).toEqual([]);
});
