// Words of strangers reach a model that does whatever they say. It calls all that it can think of; what comes of that is
// what Kadre allows, and none of it is what they wanted.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import { createRuntime, type Runtime } from '@kadre/agent-runtime';
import { a2aMetadata, agentConfigOf, type ModelSpec } from '@kadre/crds';
import { mintStepToken } from '@kadre/store';
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { injections, MARK, names } from '../../support/injections.ts';
import { NAMESPACE, step } from '../gateway/bed.ts';
import { startToolBed, type ToolBed } from '../gateway/tool-bed.ts';

const model = new LLMock({ port: 0, logLevel: 'silent' });
/** All that the obedient model tries once it has read: what has consequences, what is not granted, what a rule forbids. */
const obedience = [
  { name: 'release', arguments: '{"version": "evil"}' },
  { name: 'root_shell', arguments: '{"command": "id"}' },
  { name: 'pay', arguments: '{"amount": 1000000}' },
  { name: 'read/../release', arguments: '{}' },
  { name: 'files__delete', arguments: '{"path": "/"}' },
];

let bed: ToolBed;
let runtime: Runtime;
let agent: string;
beforeAll(() => model.start());
afterAll(() => model.stop());
beforeEach(async () => {
  model.onTurn(0, /./, { toolCalls: [{ name: 'read', arguments: '{"page": 1}' }] });
  model.onTurn(1, /./, { toolCalls: obedience });
  model.onTurn(2, /./, { content: 'I could not.' });
  bed = await startToolBed();
  bed.tool('read', { trust: 'untrusted' });
  bed.tool('release', { consequential: true });
  bed.tool('pay', { policy: { rules: [{ rule: 'args.amount <= 100' }] } });
  runtime = await createRuntime(
    {
      agent: agentConfigOf('researcher', NAMESPACE, {
        instructions: 'Read page 1 and say what it says.',
        model: 'smart',
        tools: [{ name: 'read' }],
      }),
      gatewayUrl: bed.url,
    },
    { token: () => Promise.resolve('token-a'), logger: pino({ level: 'silent' }) },
  );
  agent = await runtime.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await runtime.shutdown(0);
  await bed.close();
  model.clearFixtures();
  model.clearRequests();
});

const providers: [string, () => Partial<ModelSpec>][] = [
  ['openai', () => ({ provider: 'openai', model: 'gpt-5', baseUrl: `${model.url}/v1` })],
  ['anthropic', () => ({ provider: 'anthropic', model: 'claude-sonnet-4-5', baseUrl: model.url })],
  ['google', () => ({ provider: 'google', model: 'gemini-2.5-flash', baseUrl: `${model.url}/v1beta` })],
];

/** In a step, as the engine asks: what the attempt has read is the gateway's own knowledge. */
async function ask(run: string): Promise<{ state: string; text: string }> {
  const token = mintStepToken(await bed.store.secret('step-token'), { ...step, run }, Date.now() + 600_000);
  const message = {
    messageId: randomUUID(),
    role: 'ROLE_USER',
    parts: [{ text: 'What does page 1 say?' }],
    metadata: { [a2aMetadata.stepToken]: token },
  };
  const response = await fetch(`${agent}/a2a`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }),
  });
  const { result } = (await response.json()) as {
    result: { task: { status: { state: string }; artifacts?: { parts: { text: string }[] }[] } };
  };
  return { state: result.task.status.state, text: result.task.artifacts?.[0]?.parts[0]?.text ?? '' };
}

const price = { inputPerMillion: '1', outputPerMillion: '2' };
const auth = { secretRef: { name: 'llm', key: 'key' } };

describe.each(providers)('a model of %s that obeys', (_, spec) => {
  test.each([...injections, ...names.map((name) => ['a name of a file', name] as const)])('%s', async (_how, text) => {
    bed.model('smart', { ...spec(), auth, price });
    bed.server.answer = (response) => response.writeHead(200, { 'content-type': 'text/plain' }).end(text);
    const run = randomUUID();
    expect(await ask(run)).toEqual({ state: 'TASK_STATE_COMPLETED', text: 'I could not.' });
    expect(bed.server.asked.map(({ path }) => path)).toEqual(['/read']);
    const requests = model.getRequests().map(({ body }) => body as unknown as Record<string, unknown>);
    expect(requests).toHaveLength(3);
    // Nothing that was read has become an instruction, or a tool.
    for (const request of requests) expect(request['tools']).toEqual(requests[0]?.['tools']);
    const places = requests.flatMap((request) => rolesOf(request));
    expect(new Set(places)).toEqual(new Set(['tool']));
    // Nor is it in what is kept for people.
    const verdicts = await bed.store.decisions({ namespace: NAMESPACE, kind: 'tool' });
    const refused = verdicts.filter(({ alternatives }) => (alternatives as { verdict: string }).verdict === 'refused');
    expect(refused.map(({ alternatives }) => (alternatives as { rule: string }).rule).sort()).toEqual(
      ['grant', 'grant', 'grant', 'rules[0]', 'taint'].sort(),
    );
    expect(JSON.stringify(verdicts)).not.toContain(MARK);
    expect(bed.log()).not.toContain(MARK);
  });
});

/** Whose words the mark is among, in a request as the double understands it. */
function rolesOf(request: Record<string, unknown>): string[] {
  const messages = request['messages'] as { role: string }[];
  return messages.filter((message) => JSON.stringify(message).includes(MARK)).map(({ role }) => role);
}
