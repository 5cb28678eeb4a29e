import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Tool } from '@kadre/crds';
import { ToolError, type Described } from '@kadre/tools';
import { HandClock } from '../limits/testing/hand-clock.ts';
import { createDiscovery, type Discovery } from './discovery.ts';

const toolOf = (generation = 1): Tool => ({
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Tool',
  metadata: { name: 'files', namespace: 'team', uid: 'u', resourceVersion: '1', generation, creationTimestamp: '' },
  spec: { mcp: { url: 'http://files/mcp' }, trust: 'untrusted', consequential: false },
});
const { signal } = new AbortController();
const offers = (...names: string[]): Described => ({
  operations: names.map((name) => ({ name, description: '', inputSchema: {} })),
});
const away = new ToolError('unreachable', 'It cannot be reached.');

let clock: HandClock;
let asked: { answer: (described: Described) => void; fail: (error: unknown) => void; signal: AbortSignal }[];
let discovery: Discovery;
beforeEach(() => {
  clock = new HandClock();
  asked = [];
  discovery = createDiscovery({
    toolbox: {
      describe: (_tool, _secret, asking) =>
        new Promise((answer, fail) => {
          asking.addEventListener('abort', () => fail(asking.reason as Error));
          asked.push({ answer, fail, signal: asking });
        }),
    },
    secretsOf: () => () => Promise.resolve(''),
    clock,
    logger: { warn: () => undefined },
  });
});

const namesOf = async (offered: ReturnType<Discovery['offered']>): Promise<string[]> =>
  (await offered).map(({ functionName }) => functionName);

describe('what a Tool offers', () => {
  test('is asked for once by all who want to know, and kept', async () => {
    const wanting = Array.from({ length: 10 }, () => namesOf(discovery.offered(toolOf(), signal)));
    asked[0]?.answer(offers('read'));
    expect(await Promise.all(wanting)).toEqual(Array.from({ length: 10 }, () => ['files__read']));
    await discovery.offered(toolOf(), signal);
    expect(asked).toHaveLength(1);
  });

  test('is looked at again after five minutes, and nobody waits for that', async () => {
    const first = discovery.offered(toolOf(), signal);
    asked[0]?.answer(offers('read'));
    await first;
    await clock.pass(300_000);
    expect(await namesOf(discovery.offered(toolOf(), signal))).toEqual(['files__read']);
    asked[1]?.answer(offers('read', 'write'));
    await clock.pass(1);
    expect(await namesOf(discovery.offered(toolOf(), signal))).toEqual(['files__read', 'files__write']);
  });

  test('is still known when its server is away', async () => {
    const first = discovery.offered(toolOf(), signal);
    asked[0]?.answer(offers('read'));
    await first;
    await clock.pass(300_000);
    await discovery.offered(toolOf(), signal);
    asked[1]?.fail(away);
    await clock.pass(1);
    expect(await namesOf(discovery.offered(toolOf(), signal))).toEqual(['files__read']);
  });

  test('is forgotten when the Tool has changed', async () => {
    const first = discovery.offered(toolOf(1), signal);
    asked[0]?.answer(offers('read'));
    await first;
    const second = discovery.offered(toolOf(2), signal);
    asked[1]?.fail(away);
    await expect(second).rejects.toThrow(away);
  });

  test('is asked for again by who misses something, but not at every turn', async () => {
    const first = discovery.offered(toolOf(), signal);
    asked[0]?.answer(offers('read'));
    await first;
    await discovery.offeredNow(toolOf(), signal);
    expect(asked).toHaveLength(1);
    await clock.pass(5_000);
    const second = namesOf(discovery.offeredNow(toolOf(), signal));
    asked[1]?.answer(offers('read', 'write'));
    expect(await second).toEqual(['files__read', 'files__write']);
  });

  test('of a server that hangs is given up after ten seconds, and then holds up no list', async () => {
    const first = discovery.offeredSoon(toolOf(), signal);
    const refused = expect(first).rejects.toThrow('It did not say within 10 s');
    await clock.pass(10_000);
    await refused;
    expect(asked[0]?.signal.aborted).toBe(true);
    await expect(discovery.offeredSoon(toolOf(), signal)).rejects.toThrow('It did not say within 10 s');
    expect(asked).toHaveLength(2);
    // A call waits all the same: it needs this one Tool.
    const call = namesOf(discovery.offered(toolOf(), signal));
    asked[1]?.answer(offers('read'));
    expect(await call).toEqual(['files__read']);
  });

  test('is not waited for by who went away', async () => {
    const gone = new AbortController();
    const waiting = discovery.offered(toolOf(), gone.signal);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    expect(asked[0]?.signal.aborted).toBe(false);
  });

  test('is not asked for any more by a gateway that closes', async () => {
    const waiting = discovery.offered(toolOf(), signal);
    discovery.close();
    await expect(waiting).rejects.toThrow('shutting down');
  });
});
