// An agent seen through the SDK of A2A from PyPI, which shares nothing with the one from npm.
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, serveAgent, startGateway, testAgent } from '../../../agent-runtime/src/testing/harness.ts';
import { toolGateway } from '../../../agent-runtime/src/testing/tool-gateway.ts';
import { NAMESPACE, startBed } from '../gateway/bed.ts';
import { ensureFrameworks } from './foreign-agent.ts';

test('card, answers, streams, tasks, cancelling and memory', async () => {
  const python = await ensureFrameworks();
  let gone = 0;
  const answering = toolGateway({
    model: ({ body: { messages = [] } }) =>
      messages.at(-1)?.content === 'Who am I?'
        ? { text: 'I look. ', calls: [['look', '{}']] }
        : { text: `${messages.length} messages.` },
  });
  const provider = await startGateway((request, response) => {
    if (request.body.messages?.at(-1)?.content !== 'hold') return answering(request, response);
    response.once('close', () => (gone += 1));
  });
  const bed = await startBed({ memory: { ofAgent: () => ({ turns: 9, characters: 9999 }) } });
  bed.model('smart', { provider: 'openaiCompatible', model: 'm', baseUrl: provider.url });
  const agent = testAgent({ name: 'researcher', namespace: NAMESPACE, memory: true, tools: true });
  const { url, runtime } = await serveAgent(
    { gatewayUrl: bed.url, agent },
    { token: () => Promise.resolve('token-a') },
  );

  const script = join(import.meta.dirname, 'a2a_client.py');
  const { stdout } = await promisify(execFile)(python, ['-B', script, url], { env: { PATH: process.env['PATH'] } });
  const usage = { inputTokens: 7, outputTokens: 5 };
  const first = { id: expect.any(String) as unknown, state: 'TASK_STATE_COMPLETED', text: '2 messages.', usage };
  expect(JSON.parse(stdout)).toEqual({
    card: { name: 'researcher', streaming: true },
    first,
    got: first,
    again: true,
    // Its instructions, what was said before, the question, the call and its result.
    streamed: {
      first: 'task',
      text: '6 messages.',
      tools: ['Running', 'Failed'],
      usage: { inputTokens: 14, outputTokens: 10 },
      last: 'status_update',
    },
    listed: 2,
    cancelled: ['task', 'TASK_STATE_CANCELED', 'TASK_STATE_CANCELED'],
    unknown: 'TaskNotFoundError',
    over: 'TaskNotCancelableError',
  });
  await eventually(() => gone === 1);
  await runtime.shutdown(0);
  await bed.close();
  await provider.close();
});
