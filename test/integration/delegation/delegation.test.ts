// Agents ask each other through the gateway, in steps of runs and outside of them.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { a2aMetadata } from '@kadre/crds';
import { step, until, usageOf } from '../gateway/bed.ts';
import { grant, startCrew, textOf, type Crew } from './crew.ts';

const usage = { inputTokens: 10, outputTokens: 1 };
const call = (name: string, prompt: string, more: object = {}) => ({
  toolCalls: [{ name, arguments: JSON.stringify({ prompt, ...more }) }],
  usage,
});
const pass = { matchToolResult: '.', reply: 'told: $(toolResult)', usage };

let crew: Crew;
beforeEach(async () => {
  crew = await startCrew();
});
afterEach(() => crew.close());

const lead = (script: Parameters<Crew['agent']>[1], spec?: Parameters<Crew['agent']>[2]) =>
  crew.agent('researcher', script, { agents: [grant('writer')], ...spec });
const writer = (script: Parameters<Crew['agent']>[1] = [{ reply: 'written: $(prompt)', usage }]) =>
  crew.agent('writer', script);

describe('an agent asks another one', () => {
  test("with a prompt and data, and goes on with the answer; what both use is the step's", async () => {
    await writer();
    await lead([pass, call('ask_writer', 'a poem', { input: { lines: 2 } })]);
    expect(textOf(await crew.ask('researcher'))).toBe('told: written: a poem\n\n{"lines":2}');
    expect(await usageOf(crew)).toMatchObject({ inputTokens: 30, outputTokens: 3 });
    const of = await crew.store.journalOf(step.run, { step: 'research/2', attempt: 1 });
    expect(of.map(({ call: number, kind }) => [number, kind])).toEqual([[1, 'model']]);
  });

  test('which is told of as a part of the task', async () => {
    await writer();
    await lead([pass, call('ask_writer', 'a poem')]);
    const stream = await crew.rpc('researcher', 'SendStreamingMessage', { message: await crew.message() });
    const events = (await stream.text()).matchAll(/^data: (.*)$/gm);
    const told = [...events]
      .map(([, data = '']) => JSON.parse(data) as { result: { statusUpdate?: { metadata?: Record<string, unknown> } } })
      .flatMap(({ result }) => result.statusUpdate?.metadata?.[a2aMetadata.delegation] ?? []);
    expect(told).toEqual([
      { id: '2', agent: 'writer', phase: 'Running' },
      { id: '2', agent: 'writer', phase: 'Succeeded' },
    ]);
  });

  test('and is offered it with what it says of itself, or what the grant says of it', async () => {
    await crew.agent('writer', [], { description: 'Writes poems.' });
    await crew.agent('editor', []);
    const agents = [grant('writer'), { ...grant('editor', true), description: 'For books.' }];
    await lead([], { agents });
    const { names, tools } = await crew.list();
    expect(names).toEqual(['ask_writer', 'hand_off_to_editor']);
    expect(tools.map(({ description }) => description)).toEqual([
      'Asks the agent writer, which knows nothing of this conversation, and gives you its answer. Writes poems.',
      expect.stringMatching(/^Hands the task over to the agent editor, .* For books\.$/) as unknown,
    ]);
  });

  test('and leaves a record of who asked whom, and why that was right', async () => {
    await writer();
    await lead([pass, call('ask_writer', 'a poem')]);
    await crew.ask('researcher');
    await until(async () => (await crew.store.decisions({ run: step.run })).length > 0);
    const [record] = await crew.store.decisions({ run: step.run });
    expect(record).toMatchObject({ kind: 'tool', agent: 'researcher', subject: 'writer', chosen: 'ask_writer' });
  });

  test.each([
    ['that is not there', 'ask_nobody', 'Agent nobody is not there, so it cannot be asked.'],
    ['that runs in Jobs alone', 'ask_batch', 'Agent batch cannot be asked: it is not served'],
    ['that it was not granted', 'ask_stranger', 'Agent researcher may not use ask_stranger. It has ask_nobody'],
    ['under the wrong name', 'hand_off_to_batch', 'Agent researcher may not use hand_off_to_batch.'],
  ])('%s, and is told why it cannot', async (_, name, told) => {
    crew.unserved('batch');
    await lead([pass, call(name, 'x')], { agents: [grant('nobody'), grant('batch')] });
    expect(textOf(await crew.ask('researcher'))).toContain(`told: Error: ${told}`);
  });

  test('that fails, and is told why', async () => {
    await writer([{ error: { status: 400, message: 'no such thing' } }]);
    await lead([pass, call('ask_writer', 'a poem')]);
    expect(textOf(await crew.ask('researcher'))).toMatch(/^told: Error: Agent writer failed \(ModelFailed\): /);
  });

  test('within its own limits: what another one uses for it counts', async () => {
    await writer();
    const dear = { ...call('ask_writer', 'a poem'), usage: { inputTokens: 100_000, outputTokens: 1 } };
    await lead([pass, dear], { limits: { tokens: 100_005 } });
    expect(textOf(await crew.ask('researcher'))).toContain('the limits of Agent researcher for one attempt');
    expect(await usageOf(crew)).toMatchObject({ inputTokens: 100_000, outputTokens: 1 });
  });
});

describe('agents that ask each other in a circle', () => {
  test.each([
    ['in a step', false],
    ['outside of steps', true],
  ])('come to an end after five, %s', async (_, outside) => {
    await crew.agent('writer', [pass, call('ask_researcher', 'again')], { agents: [grant('researcher')] });
    await lead([pass, call('ask_writer', 'again')]);
    const told = textOf(await crew.ask('researcher', { outside }));
    expect(told).toMatch(/^(told: ){6}Error: 5 agents in a row have asked each other already/);
    if (!outside) expect(await usageOf(crew)).toMatchObject({ inputTokens: 120, outputTokens: 12 });
  });
});

describe('a hand-off', () => {
  const handOff = { agents: [grant('writer', true)] };

  test('makes the answer of the other the answer of the task; it is sent what was said', async () => {
    await writer();
    await lead([{ ...call('hand_off_to_writer', 'Finish it.'), reply: 'I cannot.' }], handOff);
    const task = await crew.ask('researcher', { prompt: 'A poem, please.' });
    expect(textOf(task)).toContain('written: Agent researcher hands this conversation over to you.');
    expect(textOf(task)).toContain('User: A poem, please.\n\nAssistant: I cannot.\n\nFinish it.');
    expect(await usageOf(crew)).toMatchObject({ inputTokens: 20, outputTokens: 2 });
  });

  test('gives data where the other does, whatever the first one gives otherwise', async () => {
    const output = { schema: { type: 'object', required: ['lines'] } };
    await crew.agent('writer', [{ reply: '{"lines":2}' }], { output });
    await lead([call('hand_off_to_writer', 'x')], handOff);
    expect((await crew.ask('researcher')).artifacts?.[0]?.parts).toMatchObject([{ data: { lines: 2 } }]);
  });

  test('gives text where the other does, although the first one gives data otherwise', async () => {
    await writer([{ reply: 'just text' }]);
    await lead([call('hand_off_to_writer', 'x')], { ...handOff, output: { schema: { type: 'object' } } });
    expect((await crew.ask('researcher')).artifacts?.[0]?.parts).toEqual([{ text: 'just text' }]);
  });

  test('is not done beside other calls', async () => {
    await writer();
    const { toolCalls } = call('hand_off_to_writer', 'x');
    await lead([pass, { toolCalls: [...toolCalls, ...toolCalls] }], handOff);
    expect(textOf(await crew.ask('researcher'))).toContain(
      'Error: Not done: whoever takes the task over gives the answer',
    );
  });

  test('that fails is told to the model, which goes on', async () => {
    await writer([{ error: { status: 400 } }]);
    await lead([pass, call('hand_off_to_writer', 'x')], handOff);
    expect(textOf(await crew.ask('researcher'))).toMatch(/^told: Error: Agent writer failed/);
  });
});

describe('words of strangers', () => {
  beforeEach(() => {
    crew.tool('read', { trust: 'untrusted' });
    crew.tool('send', { consequential: true });
  });
  const read = { toolCalls: [{ name: 'read' }] };
  const send = { toolCalls: [{ name: 'send' }] };
  const refused = /Tool send has consequences, and this task has read what strangers may have written/;

  test.each([
    ['in a step', false],
    ['outside of steps', true],
  ])('that an agent has read taint whom it asks, %s', async (_, outside) => {
    crew.grants.set('writer', [{ name: 'send' }]);
    await writer([pass, send]);
    crew.grants.set('researcher', [{ name: 'read' }]);
    await lead([
      { ...pass, matchToolResult: 'told' },
      { ...pass, matchToolResult: 'strangers' },
      { matchToolResult: 'answer', ...call('ask_writer', 'send it') },
      read,
    ]);
    expect(textOf(await crew.ask('researcher', { outside }))).toMatch(refused);
    expect(crew.server.asked.map(({ path }) => path)).toEqual(['/read']);
  });

  test.each([
    ['taint whoever asked it', [pass, read], false],
    ['are none where it has read nothing', [{ reply: 'clean' }], true],
  ])('that an agent was asked to read %s', async (_, script, sent) => {
    crew.grants.set('writer', [{ name: 'read' }]);
    await writer(script);
    crew.grants.set('researcher', [{ name: 'send' }]);
    await lead([
      { ...pass, matchToolResult: 'consequences|^\\{"answer":[0-9]+\\}$' },
      { matchToolResult: '.', ...send },
      call('ask_writer', 'read it'),
    ]);
    const answer = textOf(await crew.ask('researcher'));
    expect(refused.test(answer)).toBe(!sent);
    expect(crew.server.asked.some(({ path }) => path === '/send')).toBe(sent);
  });
});

describe('a task that is called off', () => {
  /** A tool that never answers, as the one that is asked last. */
  const hang = async (): Promise<{ gone: () => boolean }> => {
    let gone = false;
    crew.server.answer = (response) => void response.once('close', () => (gone = true));
    crew.tool('wait');
    crew.grants.set('writer', [{ name: 'wait' }]);
    await writer([{ toolCalls: [{ name: 'wait' }] }]);
    crew.grants.delete('researcher');
    await lead([call('ask_writer', 'wait')]);
    return { gone: () => gone };
  };

  test('in a step is called off where it was handed to', async () => {
    const { gone } = await hang();
    const asked = crew.ask('researcher', { id: 'm9' });
    await until(() => crew.server.asked.length > 0);
    const { result } = (await (await crew.rpc('researcher', 'ListTasks', {})).json()) as {
      result: { tasks: { id: string }[] };
    };
    await crew.rpc('researcher', 'CancelTask', { id: result.tasks[0]?.id });
    expect((await asked).status.state).toBe('TASK_STATE_CANCELED');
    await until(gone);
  });

  test('outside of steps is as well', async () => {
    const { gone } = await hang();
    void crew.ask('researcher', { outside: true });
    await until(() => crew.server.asked.length > 0);
    const { result } = (await (await crew.rpc('researcher', 'ListTasks', {})).json()) as {
      result: { tasks: { id: string }[] };
    };
    await crew.rpc('researcher', 'CancelTask', { id: result.tasks[0]?.id });
    await until(gone);
  });
});

describe('an agent that dies while it is asked', () => {
  test('is asked again where it is served next, and pays nothing twice', async () => {
    let first = true;
    crew.tool('count');
    crew.grants.set('writer', [{ name: 'count' }]);
    const script = [pass, { toolCalls: [{ name: 'count' }], usage }];
    crew.server.answer = (response) => {
      if (first) {
        first = false;
        void crew.stop('writer').then(() => writer(script));
      } else response.writeHead(200, { 'content-type': 'text/plain' }).end('counted');
    };
    await writer(script);
    crew.grants.delete('researcher');
    await lead([pass, call('ask_writer', 'count')]);
    expect(textOf(await crew.ask('researcher'))).toBe('told: told: counted');
    expect(await usageOf(crew)).toMatchObject({ inputTokens: 40, outputTokens: 4 });
    const keys = crew.server.asked.map(({ headers }) => headers['idempotency-key']);
    expect([keys.length, new Set(keys).size]).toEqual([2, 1]);
  });
});
