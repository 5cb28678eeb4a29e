import { describe, expect, test } from '@jest/globals';
import { agentRunWorkflow } from './core/agent-run.ts';
import { validateWorkflow } from './validate-workflow.ts';

const ask = (prompt: string) => ({ name: 'writer', prompt });
const step = (name: string, more: object = {}) => ({ name, agent: ask('x'), ...more });

describe('a workflow without mistakes', () => {
  test.each<[string, unknown]>([
    ['one step', { steps: [step('a')] }],
    [
      'steps that use those above',
      { steps: [step('a'), step('b', { agent: ask('$(steps.a.output)') })], output: '$(steps.b.output)' },
    ],
    [
      'a diamond',
      {
        steps: [
          step('a', { needs: [] }),
          step('b', { needs: ['a'] }),
          step('c', { needs: ['a'] }),
          step('d', { needs: ['b', 'c'], agent: ask('$(steps.a.output) $(steps.c.output)') }),
        ],
      },
    ],
    [
      'everything a step can have',
      {
        description: 'all',
        input: { schema: { type: 'object', properties: { topics: { type: 'array', items: { type: 'string' } } } } },
        steps: [
          {
            name: 'research',
            forEach: { items: '$(input.topics)', as: 'topic', parallelism: 2 },
            when: '$(size(input.topics) > 0)',
            retry: { limit: 2, backoff: { initial: '1s', factor: 3, max: '1h' }, reasons: ['RateLimited'] },
            timeout: '2m',
            agent: {
              name: 'writer',
              prompt: '$(topic) $(index + 1)',
              input: { a: ['$(topic.size())'] },
              gpu: { pool: 'a100', count: 1 },
            },
          },
          {
            name: 'train',
            container: {
              image: 'x',
              command: ['$(run.name)'],
              args: ["$(steps['research'].output)"],
              env: [{ name: 'A', value: '$(input.topics[0])' }],
              input: '$(steps.research.output.map(x, x))',
            },
          },
        ],
        output: { a: '$(steps.train.output)', n: '$(size(steps.research.output))' },
      },
    ],
    [
      'a Run of an agent, whatever is asked',
      agentRunWorkflow({ agent: { name: 'writer', prompt: '$( $$( "' }, input: {} }),
    ],
    ['a literal list', { steps: [step('a', { forEach: { items: [1, '$(input)'] } })] }],
    [
      'a schema of draft 7',
      { input: { schema: { $schema: 'http://json-schema.org/draft-07/schema#', type: 'string' } }, steps: [step('a')] },
    ],
  ])('passes: %s', (_, spec) => {
    expect(validateWorkflow(spec)).toEqual([]);
  });
});

describe('a mistake is reported with the path of its field and how to mend it:', () => {
  const second = (more: object) => ({ steps: [step('first'), step('second', more)] });
  test.each<[string, unknown, string, RegExp]>([
    [
      'a step that needs an unknown one',
      second({ needs: ['frist'] }),
      'spec.steps[1].needs[0]',
      /no step frist: did you mean first\?/,
    ],
    ['two steps with one name', { steps: [step('a'), step('a')] }, 'spec.steps[1].name', /another step a/],
    [
      'a circle',
      {
        steps: [
          step('a', { needs: ['c'] }),
          step('b', { needs: ['a'] }),
          step('c', { needs: ['b'] }),
          step('d', { needs: [] }),
        ],
      },
      'spec.steps[0].needs',
      /a → c → b → a/,
    ],
    [
      'a step that needs itself',
      { steps: [step('a', { needs: ['a'] })] },
      'spec.steps[0].needs',
      /cannot wait for itself/,
    ],
    [
      'the output of an unknown step',
      second({ agent: ask('$(steps.frist.output)') }),
      'spec.steps[1].agent.prompt',
      /no step frist/,
    ],
    [
      'the output of a step that isn’t there yet',
      { steps: [step('a', { agent: ask('$(steps.b.output)') }), step('b', { needs: [] })] },
      'spec.steps[0].agent.prompt',
      /add b to its needs/,
    ],
    [
      'the output of a step that comes after it',
      { steps: [step('a', { agent: ask('$(steps.b.output)') }), step('b')] },
      'spec.steps[0].agent.prompt',
      /because b comes after a: move b above a/,
    ],
    [
      'the output of a step beside it',
      second({ needs: [], agent: ask('$(steps.first.output)') }),
      'spec.steps[1].agent.prompt',
      /add first to its needs/,
    ],
    ['its own output', second({ when: '$(steps.second.output)' }), 'spec.steps[1].when', /its own output/],
    [
      'a name with dashes',
      { steps: [step('fact-check'), step('b', { agent: ask('$(steps.fact-check.output)') })] },
      'spec.steps[1].agent.prompt',
      /steps\['fact-check'\]\.output/,
    ],
    [
      'a name with dashes and no field',
      { steps: [step('fact-check'), step('b', { agent: ask("$(steps['fact-check'])") })] },
      'spec.steps[1].agent.prompt',
      /write steps\['fact-check'\]\.output/,
    ],
    ['a syntax error', second({ agent: ask('$(1 +)') }), 'spec.steps[1].agent.prompt', /Unexpected/],
    ['an expression without an end', second({ agent: ask('$(1') }), 'spec.steps[1].agent.prompt', /write \$\$\(/],
    [
      'an unknown variable',
      second({ agent: ask('$(topic)') }),
      'spec.steps[1].agent.prompt',
      /no variable topic; there are: input, run, steps/,
    ],
    [
      'the element outside its forEach',
      { steps: [step('a', { when: '$(item == 1)', forEach: { items: [1] } })] },
      'spec.steps[0].when',
      /no variable item/,
    ],
    [
      'a field that the input does not have',
      {
        input: { schema: { type: 'object', additionalProperties: false, properties: { topic: { type: 'string' } } } },
        steps: [step('a', { agent: ask('$(input.topics)') })],
      },
      'spec.steps[0].agent.prompt',
      /no field 'topics': did you mean topic\?/,
    ],
    [
      'a type error',
      {
        input: { schema: { type: 'object', properties: { n: { type: 'integer' } } } },
        steps: [step('a', { agent: ask('$(input.n + "a")') })],
      },
      'spec.steps[0].agent.prompt',
      /a number \+ a text/,
    ],
    [
      'an element of the wrong type',
      {
        input: { schema: { type: 'array', items: { type: 'string' } } },
        steps: [step('a', { forEach: { items: '$(input)', as: 'topic' }, agent: ask('$(topic * 2)') })],
      },
      'spec.steps[0].agent.prompt',
      /a text \* a number/,
    ],
    [
      'a run’s field that is none',
      second({ agent: ask('$(run.id)') }),
      'spec.steps[1].agent.prompt',
      /there are: name, namespace, uid/,
    ],
    [
      'a condition that is no expression',
      second({ when: 'input.ok' }),
      'spec.steps[1].when',
      /true or false, such as \$\(/,
    ],
    ['a condition that is a number', second({ when: '$(1 + 1)' }), 'spec.steps[1].when', /true or false/],
    [
      'items that are no list',
      second({ forEach: { items: '$(size(input))' } }),
      'spec.steps[1].forEach.items',
      /takes a list/,
    ],
    [
      'items that are an object',
      second({ forEach: { items: { a: 1 } } }),
      'spec.steps[1].forEach.items',
      /takes a list/,
    ],
    [
      'a taken name for the element',
      second({ forEach: { items: [1], as: 'index' } }),
      'spec.steps[1].forEach.as',
      /choose another/,
    ],
    [
      'both an agent and a container',
      second({ container: { image: 'x' } }),
      'spec.steps[1]',
      /does one thing: make a step of each of agent, container/,
    ],
    [
      'neither an agent nor a container',
      { steps: [{ name: 'a' }] },
      'spec.steps[0]',
      /must do something: set one of agent, tool, code, container, value/,
    ],
    [
      'an agent that is asked nothing',
      { steps: [{ name: 'a', agent: { name: 'writer' } }] },
      'spec.steps[0].agent',
      /set prompt, input or both/,
    ],
    ['a timeout of nothing', second({ timeout: '0s' }), 'spec.steps[1].timeout', /length of time/],
    ['a timeout of centuries', second({ timeout: '99999d' }), 'spec.steps[1].timeout', /up to a year/],
    ['a timeout without a unit', second({ timeout: '30' }), 'spec.steps[1].timeout', /.*/],
    [
      'a backoff of a year and more',
      second({ retry: { limit: 1, backoff: { initial: '1s', factor: 2, max: '366d' } } }),
      'spec.steps[1].retry.backoff.max',
      /length of time/,
    ],
    [
      'an unknown reason',
      second({ retry: { limit: 1, reasons: ['Whatever'] } }),
      'spec.steps[1].retry.reasons[0]',
      /.*/,
    ],
    [
      'a mistake deep in an input',
      second({ agent: { name: 'w', input: { a: [{ b: '$(x)' }] } } }),
      'spec.steps[1].agent.input.a[0].b',
      /no variable x/,
    ],
    [
      'a mistake in an argument',
      { steps: [{ name: 'a', container: { image: 'x', args: ['ok', '$(x)'] } }] },
      'spec.steps[0].container.args[1]',
      /no variable x/,
    ],
    [
      'a mistake in a variable',
      { steps: [{ name: 'a', container: { image: 'x', env: [{ name: 'A', value: '$(x)' }] } }] },
      'spec.steps[0].container.env[0].value',
      /no variable x/,
    ],
    [
      'a mistake in the output',
      { steps: [step('a')], output: { x: '$(steps.b.output)' } },
      'spec.output.x',
      /no step b/,
    ],
    [
      'an input schema that is none',
      { input: { schema: { type: 'objekt' } }, steps: [step('a')] },
      'spec.input.schema',
      /not a JSON Schema/,
    ],
    [
      'an input schema that points elsewhere',
      { input: { schema: { $ref: 'https://example.com/schema' } }, steps: [step('a')] },
      'spec.input.schema',
      /not a JSON Schema/,
    ],
    ['no steps', { steps: [] }, 'spec.steps', /.*/],
    ['something else altogether', 'steps', 'spec', /.*/],
  ])('%s', (_, spec, path, message) => {
    expect(validateWorkflow(spec)).toEqual([{ path, message: expect.stringMatching(message) as unknown }]);
  });

  test('all mistakes at once', () => {
    const problems = validateWorkflow({
      steps: [step('a', { needs: ['x'], when: '$(y)' }), step('b', { agent: ask('$(z)') })],
      output: '$(',
    });
    expect(problems.map(({ path }) => path)).toEqual([
      'spec.steps[0].needs[0]',
      'spec.steps[0].when',
      'spec.steps[1].agent.prompt',
      'spec.output',
    ]);
  });
});

describe('of the schemas in a workflow it is reported', () => {
  const form = (schema: unknown) => ({ steps: [{ name: 'a', approval: { message: 'x', form: { schema } } }] });
  const typed = { type: 'object', properties: { n: { type: 'integer', default: '3' } } };
  test.each<[string, unknown, string, RegExp]>([
    ['a form that is none', form({ type: 'objekt' }), 'spec.steps[0].approval.form.schema', /not a JSON Schema/],
    [
      'a form that is none, deep inside',
      { steps: [{ name: 'g', race: form({ type: 1 }).steps }] },
      'spec.steps[0].race[0].approval.form.schema',
      /not a JSON Schema/,
    ],
    [
      'a default that does not fit',
      { input: { schema: typed }, steps: [step('a')] },
      'spec.input.schema.properties.n.default',
      /does not fit its own schema: it must be integer/,
    ],
    [
      'a default of elements that does not fit',
      form({ type: 'array', items: { type: 'string', enum: ['a'], default: 'b' } }),
      'spec.steps[0].approval.form.schema.items.default',
      /does not fit/,
    ],
    [
      'more forms than anybody fills in',
      { steps: Array.from({ length: 51 }, (_, i) => ({ ...form({ title: `${i}` }).steps[0], name: `a${i}` })) },
      'spec.steps[50].approval.form.schema',
      /at most 50 different forms/,
    ],
  ])('%s', (_, spec, path, message) => {
    expect(validateWorkflow(spec)).toEqual([{ path, message: expect.stringMatching(message) as unknown }]);
  });

  test('nothing of a default that refers to another part', () => {
    const schema = {
      type: 'object',
      $defs: { n: { type: 'integer' } },
      properties: { n: { $ref: '#/$defs/n', default: 1 } },
    };
    expect(validateWorkflow({ input: { schema }, steps: [step('a')] })).toEqual([]);
  });
});

test.each(['fallback', 'finally'])('a Run may ask an agent called %s', (name) => {
  expect(validateWorkflow(agentRunWorkflow({ agent: { name, prompt: 'x' } }))).toEqual([]);
});

test('a Run may ask as much as fits into it, whatever is in the question', () => {
  const prompt = '$('.repeat(16_384);
  expect(validateWorkflow(agentRunWorkflow({ agent: { name: 'writer', prompt } }))).toEqual([]);
});
