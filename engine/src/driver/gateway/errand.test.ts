import { describe, expect, test } from '@jest/globals';
import type { Clock } from '@kadre/a2a';
import type { ToolWork } from '../../core/work.ts';
import { GatewayAway, type Question, type Reply } from './connection.ts';
import { runErrand } from './errand.ts';

const work: ToolWork = { kind: 'tool', tool: 'search', args: { q: 'kadre' } };
const found: Reply = { answer: { content: [{ type: 'text', text: 'found' }], isError: false, trust: 'trusted' } };
const pending: Reply = { pending: { pending: { approval: 'run-pay-1' } } };
const away = new GatewayAway('the gateway cannot be reached: refused');

/** Time goes on by itself: whoever waits is called at once. */
function hurriedClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    at: (time, callback) => {
      now = Math.max(now, time);
      queueMicrotask(callback);
      return () => undefined;
    },
  };
}

async function outcomeOf(replies: (Reply | Error)[], { gatewayPatience = 1_000 } = {}) {
  const asked: Question[] = [];
  const approvals: string[] = [];
  const stop = new AbortController();
  const connection = {
    ask: (question: Question): Promise<Reply> => {
      asked.push(question);
      const reply = replies[asked.length - 1] ?? replies.at(-1);
      if (!reply) stop.abort();
      return reply instanceof Error || !reply
        ? Promise.reject(reply ?? new Error('broken off'))
        : Promise.resolve(reply);
    },
  };
  const outcome = await runErrand(
    { work, stepToken: () => `token ${asked.length + 1}`, headers: { traceparent: '00-1' } },
    {
      ...{ connection, clock: hurriedClock(), gatewayPatience, signal: stop.signal },
      onPending: (approval) => approvals.push(approval),
    },
  );
  return { outcome, asked, approvals };
}

describe('a question to the gateway', () => {
  test('names the tool and its arguments, with a token of its own', async () => {
    const { outcome, asked } = await outcomeOf([found]);
    expect(outcome).toMatchObject({ output: 'found' });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ path: '/v1/tools/call', stepToken: 'token 1', headers: { traceparent: '00-1' } });
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual({ name: 'search', arguments: '{"q":"kadre"}' });
  });

  test('is asked again while the gateway is away, each time with a fresh token', async () => {
    const { outcome, asked } = await outcomeOf([away, away, found]);
    expect(outcome).toMatchObject({ output: 'found' });
    expect(asked.map(({ stepToken }) => stepToken)).toEqual(['token 1', 'token 2', 'token 3']);
  });

  test('is given up when the gateway is away for too long', async () => {
    const { outcome } = await outcomeOf([away]);
    expect(outcome).toEqual({ failure: { reason: 'ToolFailed', message: away.message } });
  });

  test('is asked again while people have not decided, however long, and tells of it', async () => {
    const { outcome, asked, approvals } = await outcomeOf([away, ...Array<Reply>(20).fill(pending), away, found]);
    expect(outcome).toMatchObject({ output: 'found' });
    expect(asked).toHaveLength(23);
    expect(new Set(approvals)).toEqual(new Set(['run-pay-1']));
  });

  test('that is refused is not asked again', async () => {
    const failure = { reason: 'JournalDiverged', message: 'another question' } as const;
    const { outcome, asked } = await outcomeOf([{ failure }]);
    expect(outcome).toEqual({ failure });
    expect(asked).toHaveLength(1);
  });

  test('ends when the step is stopped', async () => {
    expect((await outcomeOf([])).outcome).toBe('stopped');
  });
});
