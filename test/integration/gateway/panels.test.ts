// Routes that ask several Models at once: consensus and comparison, through the official client.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { budgetAccount, CALL_HEADER, STEP_HEADER, type Budget, type ModelRoute, type ModelSpec } from '@kadre/crds';
import { mintStepToken, type Balance, type Decision } from '@kadre/store';
import { collect, failure, NAMESPACE, startBed, step, until, usageOf, user, type Bed } from './bed.ts';

let bed: Bed;
let budgets: Budget[];
beforeEach(async () => {
  budgets = [];
  bed = await startBed({ budgets: { list: () => budgets, ofAgent: () => undefined } });
});
afterEach(() => bed.close());

type Script = NonNullable<NonNullable<ModelSpec['simulated']>['script']>;

const model = (name: string, script: Script, more: Partial<ModelSpec> = {}): void =>
  bed.model(name, { simulated: { script }, ...more });
const route = (strategy: ModelRoute['strategy'], names: string[], more: Partial<ModelRoute> = {}): void => {
  bed.model('any', { route: { strategy, candidates: names.map((name) => ({ model: name })), ...more } });
  delete bed.models.get(`${NAMESPACE}/any`)?.spec.provider;
};
const chat = (more: object = {}, headers = {}) =>
  bed
    .client('token-a', headers)
    .chat.completions.create({ model: 'any', messages: user('What is the answer?'), ...more, stream: false })
    .withResponse();
async function ask(more: object = {}, headers = {}): Promise<{ text: string; by: string | null }> {
  const { data, response } = await chat(more, headers);
  return { text: data.choices[0]?.message.content ?? '', by: response.headers.get('kadre-model') };
}
/** The Budget of the namespace. */
function budget(requests: number): void {
  const metadata = {
    name: 'all',
    namespace: NAMESPACE,
    uid: 'all',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '',
  };
  const spec = { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80, limits: { requests } } as const;
  budgets = [{ apiVersion: 'kadre.dev/v1alpha1', kind: 'Budget', metadata, spec }];
}
async function balance(): Promise<Balance | undefined> {
  return (await bed.store.balances([{ account: budgetAccount(NAMESPACE, 'all'), period: 'total' }], Date.now()))[0];
}
async function lastDecision(count = 1): Promise<Decision | undefined> {
  await until(async () => (await bed.store.decisions({ namespace: NAMESPACE })).length >= count);
  return (await bed.store.decisions({ namespace: NAMESPACE }))[0];
}

/** A judge that always prefers what stands under A, and writes from all. */
const verdict = (best = 'A'): string =>
  JSON.stringify({
    votes: [
      { answer: 'A', score: 9, reason: 'it is right' },
      { answer: 'B', score: 3, reason: 'it is short' },
    ],
    best,
    reason: 'it is right',
  });
const judging: Script = [
  { match: 'The conversation:', reply: verdict() },
  { match: 'Write the one final answer', reply: 'All in all: 42.' },
];
const panel = (): void => {
  model('one', [{ reply: 'It is 42.' }]);
  model('two', [{ reply: 'It is 41.' }]);
  model('three', [{ reply: 'Nobody knows.' }]);
  model('wise', judging);
};
const council = (more: Partial<ModelRoute> = {}): void =>
  route('consensus', ['one', 'two', 'three'], { consensus: { judge: 'wise' }, ...more });

test.each([false, true])('all answer, one judges, one writes; votes are kept (streamed: %p)', async (streamed) => {
  panel();
  council();
  if (streamed) {
    const stream = await bed.client().chat.completions.create({ model: 'any', messages: user('x'), stream: true });
    const pieces = await collect(stream);
    expect(pieces.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('All in all: 42.');
  } else {
    const { data, response } = await chat();
    expect(data.choices[0]?.message.content).toBe('All in all: 42.');
    expect(response.headers.get('kadre-model')).toBe('wise');
    const { inputTokens, outputTokens } = bed.lines()[0] ?? {};
    expect(data.usage).toMatchObject({ prompt_tokens: inputTokens, completion_tokens: outputTokens });
    // Of all five: more than the last answer alone.
    expect(outputTokens).toBeGreaterThan(20);
  }
  await until(() => bed.lines().length === 1);
  expect(bed.lines()[0]).toMatchObject({ model: 'wise', routedBy: 'any', attempts: 5, status: 200 });
  const decision = await lastDecision();
  expect(['one', 'two', 'three']).toContain(decision?.chosen);
  expect(decision?.reason).toMatch(
    /^3 of 3 Models answered; wise prefers (one|two|three): it is right; wise wrote the answer from all of them$/,
  );
  const { votes, asked } = decision?.alternatives as { votes: object[]; asked: { as: string; model: string }[] };
  expect(votes[0]).toEqual({ model: decision?.chosen, score: 9, reason: 'it is right' });
  expect(asked.map(({ as }) => as)).toEqual(['answer', 'answer', 'answer', 'judge', 'synthesizer']);
  expect(asked[0]).toMatchObject({ characters: expect.any(Number), outputTokens: expect.any(Number), costNanoUsd: 0 });
});

test.each<[string, Script, RegExp]>([
  ['fails', [{ error: { status: 500 } }], /^3 of 3 Models answered; without a judge, one because it is the first/],
  ['talks nonsense', [{ reply: 'B, of course' }], /without a judge, one/],
  [
    'names an answer that is not there',
    [{ match: 'conversation:', reply: verdict('Z') }, { reply: 'sorry' }],
    /without a judge, one/,
  ],
])('without a judgement the first answer is given as it is: the judge %s', async (_, script, reason) => {
  panel();
  model('wise', script);
  council();
  expect(await ask()).toEqual({ text: 'It is 42.', by: 'one' });
  expect((await lastDecision())?.reason).toMatch(reason);
});

test('without a judgement, what most say in the same words is given', async () => {
  panel();
  model('three', [{ reply: ' It is 41.\n' }]);
  model('wise', [{ error: { status: 503 } }]);
  council();
  expect(await ask()).toMatchObject({ text: 'It is 41.' });
  expect((await lastDecision())?.reason).toMatch(/without a judge, two because 2 said the same/);
});

test('where all say the same, nothing is judged and nothing is paid for it', async () => {
  for (const name of ['one', 'two', 'three', 'wise']) model(name, [{ reply: 'It is 42.' }]);
  council();
  expect(await ask()).toEqual({ text: 'It is 42.', by: 'one' });
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 3 });
  expect((await lastDecision())?.reason).toBe('3 of 3 Models answered, and all say the same');
});

test('members that fail are missed as long as there is a quorum', async () => {
  panel();
  model('two', [{ error: { status: 500 } }]);
  council();
  expect(await ask()).toMatchObject({ text: 'All in all: 42.' });
  expect((await lastDecision())?.reason).toMatch(/^2 of 3 Models answered/);
  model('three', [{ error: { status: 429 } }]);
  const error = await failure(ask());
  expect(error.status).toBeGreaterThanOrEqual(429);
  expect(error.message).toMatch(/Route any: 1 of 3 Models answered, and 2 must\. two: .* three: /);
  expect((await lastDecision(2))?.chosen).toBeUndefined();
});

test('who takes longer than the patience of the route is broken off', async () => {
  panel();
  model('three', [{ reply: 'late', delay: '1h' }]);
  council({ consensus: { judge: 'wise', quorum: 2, patience: '10ms' } });
  expect(await ask()).toMatchObject({ text: 'All in all: 42.' });
  const { asked } = (await lastDecision())?.alternatives as { asked: object[] };
  expect(asked).toContainEqual(expect.objectContaining({ model: 'three', error: 'Cancelled' }));
});

test('a writer that fails leaves the answer that the judge prefers', async () => {
  panel();
  model('scribe', [{ error: { status: 500 } }]);
  council({ consensus: { judge: 'wise', synthesizer: 'scribe' } });
  const { text } = await ask();
  expect(['It is 42.', 'It is 41.', 'Nobody knows.']).toContain(text);
  expect((await lastDecision())?.reason).toMatch(/it is given as it is$/);
});

test('with tools the preferred answer is given unchanged', async () => {
  panel();
  for (const name of ['one', 'two', 'three'])
    model(name, [{ toolCalls: [{ name: 'weather', arguments: `{"city":"${name}"}` }] }]);
  council();
  const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }];
  const { data, response } = await chat({ tools });
  const [call] = data.choices[0]?.message.tool_calls ?? [];
  const by = response.headers.get('kadre-model');
  expect(call).toMatchObject({ function: { name: 'weather', arguments: `{"city":"${by}"}` } });
  expect(data.choices[0]?.finish_reason).toBe('tool_calls');
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 4 });
});

test('a format is kept by all, the writer included', async () => {
  const json = (value: number): Script => [{ reply: JSON.stringify({ value }) }];
  model('one', json(1));
  model('two', json(2));
  model('wise', [
    { match: 'The conversation:', reply: verdict() },
    { match: 'Write the one final answer', reply: 'about three' },
    { reply: '{"value": 3}' },
  ]);
  route('consensus', ['one', 'two'], { consensus: { judge: 'wise' } });
  const schema = { type: 'object', properties: { value: { type: 'number' } }, required: ['value'] };
  const format = { response_format: { type: 'json_schema', json_schema: { name: 'v', schema } } };
  const { text } = await ask(format);
  expect([{ value: 1 }, { value: 2 }, { value: 3 }]).toContainEqual(JSON.parse(text));
});

test('every member has its own place in a Budget: none is asked beyond it', async () => {
  panel();
  budget(2);
  council({ consensus: { judge: 'wise', quorum: 1 } });
  const { text } = await ask();
  expect(['It is 42.', 'It is 41.', 'Nobody knows.']).toContain(text);
  expect(await balance()).toMatchObject({ spent: { requests: 2 }, reserved: { requests: 0 } });
  council({ consensus: { judge: 'wise', quorum: 3 } });
  expect(await failure(ask())).toMatchObject({ status: 403, code: 'BudgetExceeded' });
});

test('a step that is begun anew is given what the council said, and nobody is asked or paid', async () => {
  panel();
  council();
  const token = mintStepToken(await bed.store.secret('step-token'), { ...step }, Date.now() + 60_000);
  const headers = { [STEP_HEADER]: token, [CALL_HEADER]: '1' };
  const first = await ask({}, headers);
  const paid = await usageOf(bed);
  for (const name of ['one', 'two', 'three', 'wise']) model(name, [{ error: { status: 500 } }]);
  const { data, response } = await chat({}, headers);
  expect(data.choices[0]?.message.content).toBe(first.text);
  expect(response.headers.get('kadre-replayed')).toBe('true');
  expect(await usageOf(bed)).toEqual(paid);
  await until(async () => (await bed.store.decisions({ run: step.run })).length === 1);
});

test.each([false, true])(
  'a comparison shows all answers side by side, failures too (streamed: %p)',
  async (streamed) => {
    const price = { inputPerMillion: '1000', outputPerMillion: '1000' };
    model('one', [{ reply: 'yes', usage: { inputTokens: 10, outputTokens: 5 } }], { price });
    model('two', [{ error: { status: 500, message: 'no luck' } }]);
    model('three', [{ reply: 'I look.', toolCalls: [{ name: 'weather', arguments: '{"a":1}' }] }]);
    route('compare', ['one', 'two', 'three']);
    const text = streamed
      ? (await collect(await bed.client().chat.completions.create({ model: 'any', messages: user('x'), stream: true })))
          .map(({ choices }) => choices[0]?.delta.content ?? '')
          .join('')
      : (await ask()).text;
    const durationMs = expect.any(Number);
    await until(() => bed.lines().length === 1);
    expect(bed.lines()[0]).toMatchObject({ model: 'any', routedBy: 'any', attempts: 3, status: 200 });
    expect(bed.lines()[0]).not.toHaveProperty('provider');
    expect((await lastDecision())?.chosen).toBe('one, three');
    expect(JSON.parse(text)).toEqual({
      answers: [
        { model: 'one', text: 'yes', usage: { inputTokens: 10, outputTokens: 5 }, costUsd: 0.015, durationMs },
        {
          model: 'two',
          error: { code: 'ModelUnavailable', message: expect.stringContaining('no luck') },
          durationMs,
        },
        expect.objectContaining({
          model: 'three',
          text: 'I look.',
          toolCalls: [{ name: 'weather', arguments: '{"a":1}' }],
        }),
      ],
    });
  },
);

test('a comparison refuses formats, and fails where all fail', async () => {
  model('one', [{ error: { status: 401 } }]);
  model('two', [{ error: { status: 500 } }]);
  route('compare', ['one', 'two']);
  expect(await failure(ask({ response_format: { type: 'json_object' } }))).toMatchObject({ status: 400 });
  expect(await failure(ask())).toMatchObject({ status: 503, message: expect.stringMatching(/0 of 2 Models answered/) });
});

test('a client that goes away ends all that was asked on its behalf', async () => {
  for (const name of ['one', 'two', 'three']) model(name, [{ reply: 'late', delay: '1h' }]);
  budget(100);
  council();
  const leaving = new AbortController();
  const call = bed
    .client()
    .chat.completions.create({ model: 'any', messages: user('x') }, { signal: leaving.signal })
    .catch((error: unknown) => error);
  await until(async () => (await balance())?.reserved.requests === 3);
  leaving.abort();
  await call;
  await until(() => bed.lines().length === 1);
  expect(bed.lines()[0]).toMatchObject({ status: 499, attempts: 3 });
  expect((await balance())?.reserved.requests).toBe(0);
});
