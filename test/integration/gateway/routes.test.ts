// Routes over Models, through the official client: who is asked, in which order, and what is written down about it.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Budget, ModelRoute, ModelSpec } from '@kadre/crds';
import type { Decision } from '@kadre/store';
import { collect, failure, NAMESPACE, researcher, startBed, until, user, type Bed } from './bed.ts';

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
const says = (name: string, reply = `I am ${name}`): void => model(name, [{ reply }]);
/** A route over these, in this order. */
const route = (
  strategy: ModelRoute['strategy'],
  candidates: (string | object)[],
  more: Partial<ModelRoute> = {},
): void => {
  const entries = candidates.map((one) => (typeof one === 'string' ? { model: one } : one)) as ModelRoute['candidates'];
  bed.model('any', { route: { strategy, candidates: entries, ...more } });
  delete bed.models.get(`${NAMESPACE}/any`)?.spec.provider;
};

async function ask(prompt = 'hello', more: object = {}): Promise<{ text: string | null; by: string | null }> {
  const { data, response } = await bed
    .client()
    .chat.completions.create({ model: 'any', messages: user(prompt), ...more, stream: false })
    .withResponse();
  return { text: data.choices[0]?.message.content ?? null, by: response.headers.get('kadre-model') };
}

async function askStreamed(prompt = 'hello', more: object = {}): Promise<{ text: string; by: string | null }> {
  const { data, response } = await bed
    .client()
    .chat.completions.create({ model: 'any', messages: user(prompt), ...more, stream: true })
    .withResponse();
  const chunks = await collect(data);
  return {
    text: chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''),
    by: response.headers.get('kadre-model'),
  };
}

/** All decisions, once there are so many; the latest last. */
async function decisions(count = 1): Promise<Decision[]> {
  await until(async () => (await bed.store.decisions({ namespace: NAMESPACE })).length >= count);
  return (await bed.store.decisions({ namespace: NAMESPACE })).toReversed();
}

const failing = (status: number, times?: number): Script => [
  { error: { status, ...(times !== undefined && { times }) } },
  { reply: 'well again' },
];

test.each([
  [429, false],
  [500, false],
  [401, true],
  [400, true],
  [429, true],
  [503, true],
])(
  'a Model that fails with %i is followed by the next one, before a client sees anything (streamed: %p)',
  async (status, streamed) => {
    model('first', failing(status));
    says('second');
    route('priority', ['first', 'second']);
    const answer = streamed ? await askStreamed() : await ask();
    expect(answer).toEqual({ text: 'I am second', by: 'second' });
    const [decision] = await decisions();
    expect(decision).toMatchObject({ kind: 'route', subject: 'any', chosen: 'second', agent: 'researcher' });
    expect(decision?.reason).toMatch(/^next in the list, after first \([A-Za-z]+\) failed$/);
    expect(bed.lines().at(-1)).toMatchObject({
      model: 'second',
      routedBy: 'any',
      attempts: 2,
      requestId: decision?.call,
    });
  },
);

test('after the first piece there is no way back: the failure is told, and nobody else is asked', async () => {
  model('first', [{ reply: 'half an answer', cutAfter: 4 }]);
  says('second');
  route('priority', ['first', 'second']);
  const chunks: string[] = [];
  const stream = await bed.client().chat.completions.create({ model: 'any', messages: user('x'), stream: true });
  const end = (async () => {
    for await (const { choices } of stream) chunks.push(choices[0]?.delta.content ?? '');
  })();
  await expect(end).rejects.toThrow();
  expect(chunks.join('')).toBe('half');
  await until(() => bed.lines().length === 1);
  expect(bed.lines()[0]).toMatchObject({ model: 'first', attempts: 1 });
});

test('attempts are counted over the whole route, and go round again as long as there are any', async () => {
  model('first', failing(503));
  model('second', failing(429, 1));
  route('priority', ['first', 'second'], { maxAttempts: 4 });
  expect(await ask()).toEqual({ text: 'well again', by: 'second' });
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 4 });
  model('second', failing(500));
  expect((await failure(ask())).status).toBe(503);
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 4, status: 503 });
  const [, refused] = await decisions(2);
  expect(refused?.chosen).toBeUndefined();
  expect(refused?.reason).toMatch(/no answer: /);
});

test('a Model whose own Budget is used up is passed by, at no cost', async () => {
  says('dear');
  says('cheap');
  route('priority', ['dear', 'cheap']);
  const spec = { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80, limits: { requests: 0 } } as const;
  const metadata = {
    name: 'dear',
    namespace: NAMESPACE,
    uid: 'b',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '',
  };
  budgets.push({
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Budget',
    metadata,
    spec: { ...spec, scope: { models: ['dear'] } },
  });
  expect(await ask()).toEqual({ text: 'I am cheap', by: 'cheap' });
  expect((await decisions())[0]?.reason).toBe('next in the list, after dear (BudgetExceeded) failed');
});

test('a Model that is left alone because it fails is asked last, and nobody waits long for a busy one', async () => {
  model('broken', failing(500));
  says('well');
  for (let times = 0; times < 5; times += 1) {
    await failure(bed.client().chat.completions.create({ model: 'broken', messages: user('x') }));
  }
  route('priority', ['broken', 'well']);
  expect(await ask()).toMatchObject({ by: 'well' });
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 1 });
  const { candidates } = (await decisions())[0]?.alternatives as { candidates: object[] };
  expect(candidates.at(-1)).toMatchObject({
    model: 'broken',
    reason: expect.stringMatching(/it rests, because it fails$/),
  });
});

test('Models that are not there, or are routes themselves, are passed over and named', async () => {
  says('real');
  route('priority', ['nowhere', 'any', 'real']);
  expect(await ask()).toMatchObject({ by: 'real' });
  expect((await decisions())[0]?.alternatives).toMatchObject({
    skipped: [
      { model: 'nowhere', reason: 'there is no such Model' },
      { model: 'any', reason: 'it is a route itself' },
    ],
  });
  route('priority', ['nowhere', 'any']);
  const error = await failure(ask());
  expect(error).toMatchObject({ status: 424, code: 'ModelNotFound' });
  expect(error.message).toMatch(/nowhere \(there is no such Model\), any \(it is a route itself\)/);
  expect(error.headers?.get('x-should-retry')).toBe('false');
});

test('what one provider cannot express goes to one that can, without an attempt', async () => {
  bed.model('claude', { provider: 'anthropic', model: 'claude-x', auth: { secretRef: { name: 'llm', key: 'key' } } });
  says('other');
  route('priority', ['claude', 'other']);
  expect(await ask('hello', { seed: 7 })).toMatchObject({ by: 'other' });
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 1 });
  route('priority', ['claude']);
  expect(await failure(ask('hello', { seed: 7 }))).toMatchObject({ status: 400, param: 'seed' });
});

test('the cheapest is asked first, and one without a price last', async () => {
  says('dear');
  bed.model('unpriced', { provider: 'openaiCompatible', model: 'my-own', baseUrl: 'http://127.0.0.1:9' });
  says('cheap');
  const price = (perMillion: string): Partial<ModelSpec> => ({
    price: { inputPerMillion: perMillion, outputPerMillion: perMillion },
  });
  model('dear', [{ reply: 'dear' }], price('10'));
  model('cheap', [{ reply: 'cheap' }], price('2'));
  route('cheapest', ['unpriced', 'dear', 'cheap']);
  expect(await ask('hello', { max_completion_tokens: 100 })).toMatchObject({ by: 'cheap' });
  expect((await decisions())[0]).toMatchObject({
    reason: '0.000204 USD for 2 tokens in and 100 out',
    alternatives: {
      candidates: [
        { model: 'cheap', score: 204_000 },
        { model: 'dear', score: 1_020_000 },
        { model: 'unpriced', reason: 'its price is not known: it comes last' },
      ],
    },
  });
});

test('the fastest is asked first, once somebody has seen how fast they are', async () => {
  model('slow', [{ reply: 'slow', delay: '150ms' }]);
  model('quick', [{ reply: 'quick' }]);
  for (const name of ['slow', 'quick']) {
    await bed.client().chat.completions.create({ model: name, messages: user('x') });
  }
  route('fastest', ['slow', 'quick']);
  expect(await ask()).toMatchObject({ by: 'quick' });
  expect((await decisions())[0]?.reason).toMatch(/^\d+ ms to the answer$/);
});

test('shares are drawn, and one without weight answers when no other can', async () => {
  model('never', failing(500));
  says('spare');
  route('weighted', [
    { model: 'spare', weight: 0 },
    { model: 'never', weight: 5 },
  ]);
  expect(await ask()).toMatchObject({ by: 'spare' });
});

const paths = [
  { model: 'small', path: 'speed' },
  { model: 'large', path: 'quality' },
  { model: 'careful', path: 'reliability' },
];
const cast = (): void => ['small', 'large', 'careful'].forEach((name) => says(name));

test('without a rule calls are told apart by their looks', async () => {
  cast();
  route('complexity', paths);
  expect(await ask()).toMatchObject({ by: 'small' });
  expect(await ask('x'.repeat(40_000))).toMatchObject({ by: 'large' });
  expect(await ask('hello', { reasoning_effort: 'high' })).toMatchObject({ by: 'careful' });
});

test('a rule tells calls apart; where it fails it is the path of quality, and the decision says so', async () => {
  cast();
  route('complexity', paths, {
    complexity: { rule: `prompt.matches('(?i)prove') ? 'reliability' : agent == 'researcher' ? 'speed' : 'quality'` },
  });
  expect(await ask('Prove it')).toMatchObject({ by: 'careful' });
  expect(await ask('hello')).toMatchObject({ by: 'small' });
  route('complexity', paths, { complexity: { rule: `tools[3] == 'x' ? 'speed' : 'reliability'` } });
  expect(await ask()).toMatchObject({ by: 'large' });
  const [, , failed] = await decisions(3);
  expect(failed?.alternatives).toMatchObject({
    notes: [expect.stringMatching(/path of quality, because the rule failed: /)],
  });
});

test('a small Model tells calls apart, at its own cost; where it fails it is the path of quality', async () => {
  cast();
  model('sorter', [
    { match: 'proof', reply: '{"path":"reliability","reason":"it wants a proof"}' },
    { match: 'User: hello', reply: '{"path":"speed","reason":"it is a greeting"}' },
    { reply: 'no idea' },
  ]);
  route('complexity', paths, { complexity: { classifier: { model: 'sorter' } } });
  expect(await ask('a proof, please')).toMatchObject({ by: 'careful' });
  expect(bed.lines().at(-1)).toMatchObject({ attempts: 2 });
  expect(await ask('hello')).toMatchObject({ by: 'small' });
  expect(await ask('odd')).toMatchObject({ by: 'large' });
  const [first, , third] = await decisions(3);
  expect(first?.alternatives).toMatchObject({
    notes: ['the path of reliability, because the classifier says: it wants a proof'],
    asked: [
      { model: 'sorter', as: 'classifier' },
      { model: 'careful', as: 'answer' },
    ],
  });
  expect(third?.alternatives).toMatchObject({ notes: [expect.stringMatching(/because the classifier failed/)] });
});

test('a path on which nobody answers leads to the next one', async () => {
  cast();
  model('small', failing(503));
  route('complexity', paths);
  expect(await ask()).toMatchObject({ by: 'large' });
});

test('vectors come from a route over one model, and from no other', async () => {
  bed.model('here', { model: 'embed-1' });
  bed.model('there', { model: 'embed-1' });
  route('priority', ['here', 'there']);
  const embed = () => bed.client().embeddings.create({ model: 'any', input: 'x', dimensions: 4 });
  expect((await embed()).data).toHaveLength(1);
  bed.model('large', { simulated: { embeddingDimensions: 512 } });
  route('priority', ['here', 'large']);
  expect(await failure(embed())).toMatchObject({
    status: 400,
    message: expect.stringMatching(/whose vectors cannot be compared/),
  });
  route('consensus', ['here', 'there']);
  expect(await failure(embed())).toMatchObject({ status: 400, message: expect.stringMatching(/is for conversations/) });
});

test('a route is listed among the Models, and a plain Model writes no decision', async () => {
  says('small');
  route('priority', ['small']);
  expect((await bed.client().models.list()).data.map(({ id }) => id)).toEqual(['small', 'any']);
  const { response } = await bed
    .client()
    .chat.completions.create({ model: 'small', messages: user('x') })
    .withResponse();
  expect(response.headers.get('kadre-model')).toBe('small');
  await ask();
  expect((await decisions()).map(({ subject }) => subject)).toEqual(['any']);
});

test('decisions that were made last are not lost when the gateway closes', async () => {
  says('small');
  route('priority', ['small']);
  await Promise.all(Array.from({ length: 20 }, () => ask()));
  await bed.gateway.close();
  expect(await bed.store.decisions({ namespace: researcher.namespace })).toHaveLength(20);
});
