import { describe, expect, test } from '@jest/globals';
import { compileWorkflow } from './compile-workflow.ts';

const problemsOf = (spec: unknown) => {
  const compiled = compileWorkflow(spec, 'x');
  return 'problems' in compiled ? compiled.problems : [];
};
const ask = { agent: { name: 'writer', prompt: 'x' } };
/** A step inside a group: what the API server can say of top-level steps is said here of those, too. */
const inside = (step: object, more: object = {}) => ({
  steps: [{ name: 'g', steps: [{ name: 'a', ...step }] }],
  ...more,
});
const at = 'steps[0].steps[0]';
const call = (args: unknown): object => ({ tool: { name: 'search', args } });
const code = (more: object): object => ({ code: { language: 'python', source: 'pass', ...more } });
const file = (path: string): object => ({ path, content: 'x' });

describe('of a step inside a group it is reported with the path of the field and how to mend it:', () => {
  test.each<[string, object, string, RegExp]>([
    ['it does nothing', {}, '', /must do something: set one of agent, tool, code, container/],
    ['it does two things', { ...ask, value: 1 }, '', /does one thing: make a step of each of agent, value/],
    ['an output without a group', { ...ask, output: 1 }, '.output', /only a group \(steps\) has an output of its own/],
    ['an agent asked nothing', { agent: { name: 'x' } }, '.agent', /set prompt, input or both/],
    ['a call of two tools', { tool: { name: 'a b' } }, '.tool.name', /a name of a-z/],
    [
      'arguments that are no object',
      { tool: { name: 'search', args: ['kadre'] } },
      '.tool.args',
      /takes an object with the arguments of the tool, not a list/,
    ],
    [
      'arguments that do not know what is meant',
      call({ q: '$(input.topic + 1 +)' }),
      '.tool.args.q',
      /Unexpected token/,
    ],
    [
      'a language that nothing speaks',
      code({ language: 'ruby' }),
      '.code.language',
      /one of python, javascript, shell/,
    ],
    ['a program without a text', code({ source: '' }), '.code.source', /must not be empty/],
    ['a file outside of the folder', code({ files: [file('../x')] }), '.code.files[0].path', /within the folder/],
    ['a file at the root', code({ files: [file('/etc/x')] }), '.code.files[0].path', /within the folder/],
    ['a file that is there twice', code({ files: [file('x'), file('x')] }), '.code.files[1].path', /is there twice/],
    ['a file with nothing said of it', code({ files: [{ path: 'x' }] }), '.code.files[0].content', /is missing/],
    ['memory that is no amount', code({ sandbox: { memory: '1 GB' } }), '.code.sandbox.memory', /a quantity in quotes/],
    ['needs that name the step itself', { ...ask, needs: ['a'] }, '.needs', /a cannot wait for itself/],
    [
      'a name needed twice',
      {
        steps: [
          { name: 'b', ...ask },
          { name: 'c', ...ask, needs: ['b', 'b'] },
        ],
      },
      '.steps[1].needs[1]',
      /named twice/,
    ],
    ['a wait for nothing', { wait: {} }, '.wait', /exactly one of for, until and event/],
    ['a wait for two things', { wait: { for: '1s', event: { name: 'x' } } }, '.wait', /exactly one of/],
    ['a wait for a time that is none', { wait: { until: 'tomorrow' } }, '.wait.until', /RFC 3339/],
    ['a wait for a day that is none', { wait: { until: '2030-02-30T12:00:00Z' } }, '.wait.until', /RFC 3339/],
    ['a wait for a time without a zone', { wait: { until: '2030-02-28T12:00:00' } }, '.wait.until', /RFC 3339/],
    ['a wait for a number', { wait: { until: '$(1 + 1)' } }, '.wait.until', /RFC 3339/],
    ['a wait of no time', { wait: { for: '0s' } }, '.wait.for', /length of time/],
    [
      'a filter that is no condition',
      { wait: { event: { name: 'x', filter: '$(1)' } } },
      '.wait.event.filter',
      /true or false/,
    ],
    [
      'a filter that looks at nothing',
      { wait: { event: { name: 'x', filter: '$(true)' } } },
      '.wait.event.filter',
      /use event, its payload/,
    ],
    ['onError without a way', { ...ask, onError: {} }, '.onError', /exactly one of continue: true and fallback/],
    ['onError that does not go on', { ...ask, onError: { continue: false } }, '.onError', /exactly one of/],
    [
      'onError with two ways',
      { ...ask, onError: { continue: true, fallback: [{ name: 'b', ...ask }] } },
      '.onError',
      /exactly one of/,
    ],
    ['a reserved element', { ...ask, forEach: { items: [1], as: 'round' } }, '.forEach.as', /choose another name/],
    ['items that are no list', { ...ask, forEach: { items: 3 } }, '.forEach.items', /takes a list/],
    ['no items', { ...ask, forEach: { items: [] } }, '.forEach.items', /is empty, so that the step can never run/],
    [
      'an end of a forEach that looks at nothing',
      { ...ask, forEach: { items: [1], until: '$(1 > 2)' } },
      '.forEach.until',
      /use outputs/,
    ],
    ['a step that never runs', { ...ask, when: '$(false)' }, '.when', /never true, so that the step can never run/],
    [
      'a loop without a bound',
      { ...ask, repeat: { until: '$(output.ok)' } },
      '.repeat.max',
      /a loop needs a bound: set max/,
    ],
    [
      'a loop whose end does not change',
      { ...ask, repeat: { max: 3, until: '$(input.ok)' } },
      '.repeat.until',
      /same after each round/,
    ],
    [
      'a loop that always ends',
      { ...ask, repeat: { max: 3, until: '$(true)', onMax: 'continue' } },
      '.repeat.until',
      /same after each round/,
    ],
    [
      'onMax without until',
      { ...ask, repeat: { max: 3, onMax: 'fail' } },
      '.repeat.onMax',
      /set until, or remove onMax/,
    ],
    [
      'a backoff that shrinks',
      { ...ask, retry: { limit: 1, backoff: { initial: '10m' } } },
      '.retry.backoff',
      /initial \(10m\) must not exceed max \(5m\)/,
    ],
    ['a value tried again', { value: 1, retry: { limit: 1 } }, '.retry', /the same each time: remove retry/],
    ['a wait tried again', { wait: { for: '1s' }, retry: { limit: 1 } }, '.retry', /a wait does not fail/],
    [
      'a wait for an event tried again',
      { wait: { event: { name: 'x' } }, retry: { limit: 1 } },
      '.retry',
      /set timeout, or remove retry/,
    ],
    ['giving up tried again', { fail: 'no', retry: { limit: 1 } }, '.retry', /does so each time: remove retry/],
    ['giving up as an earlier run did', { fail: 'no', cache: { key: 'x' } }, '.cache', /has no output/],
    ['a mistake in why it gives up', { fail: '$(x)' }, '.fail', /no variable x/],
    ['an approval tried again', { approval: { message: 'ok?' }, retry: { limit: 1 } }, '.retry', /a decision stands/],
    ['a value from an earlier run', { value: 1, cache: { key: 'x' } }, '.cache', /costs nothing to compute/],
    ['a wait of an earlier run', { wait: { for: '1s' }, cache: { key: 'x' } }, '.cache', /remove cache/],
    ['a decision of an earlier run', { approval: { message: 'ok?' }, cache: { key: 'x' } }, '.cache', /remove cache/],
    ['a mistake in the key of a cache', { ...ask, cache: { key: '$(x)' } }, '.cache.key', /no variable x/],
    [
      'a wait longer than the timeout',
      { wait: { for: '2m' }, timeout: '1m' },
      '.wait.for',
      /2m is longer than the timeout of a of 1m/,
    ],
    [
      'an approval longer than the timeout',
      { approval: { message: 'x', timeout: '2m' }, timeout: '1m' },
      '.approval.timeout',
      /longer than the timeout of a/,
    ],
    ['a mistake in what is asked', { approval: { message: '$(x)' } }, '.approval.message', /no variable x/],
    [
      'a variable of Kadre',
      { container: { image: 'x', env: [{ name: 'KADRE_X', value: '' }] } },
      '.container.env[0].name',
      /set by Kadre/,
    ],
    [
      'a variable twice',
      {
        container: {
          image: 'x',
          env: [
            { name: 'A', value: '' },
            { name: 'A', value: '' },
          ],
        },
      },
      '.container.env[1].name',
      /set twice/,
    ],
    [
      'half a device',
      { container: { image: 'x', resources: { limits: { 'a.b/gpu': '500m' } } } },
      '.container.resources.limits.a.b/gpu',
      /whole numbers/,
    ],
    [
      'a device requested only',
      { container: { image: 'x', resources: { requests: { 'a.b/gpu': '1' } } } },
      '.container.resources.requests.a.b/gpu',
      /give limits the same number, 1/,
    ],
    [
      'a mistake in the input of a workflow',
      { workflow: { name: 'x', input: { a: '$(x)' } } },
      '.workflow.input.a',
      /no variable x/,
    ],
    ['a name that is none', { ...ask, needs: ['A b'] }, '.needs[0]', /takes a name of a-z, 0-9 and -/],
    ['a length of time that is none', { ...ask, timeout: '5 minutes' }, '.timeout', /whole number and one unit: 300ms/],
    ['a number as a text', { ...ask, repeat: { max: '3' } }, '.repeat.max', /takes a number, not a text/],
    ['a broken number', { ...ask, repeat: { max: 1.5 } }, '.repeat.max', /takes a whole number, not 1.5/],
    ['a text as a list', { ...ask, needs: 'b' }, '.needs', /takes a list, not a text/],
    [
      'true where a text belongs',
      { ...ask, when: true },
      '.when',
      /takes a text, not true or false: put quotes around it/,
    ],
    ['too many rounds', { ...ask, repeat: { max: 100_000 } }, '.repeat.max', /at most 10000, not 100000/],
    [
      'a slip in a choice',
      { approval: { message: 'x', onTimeout: 'aprove' } },
      '.approval.onTimeout',
      /did you mean approve\?/,
    ],
    ['an empty group', { steps: [] }, '.steps', /must not be empty: add an entry/],
  ])('%s', (_, step, path, message) => {
    expect(problemsOf(inside(step))).toEqual([
      { path: `${at}${path}`, message: expect.stringMatching(message) as unknown },
    ]);
  });
});

describe('a field that does not exist is reported, wherever it is:', () => {
  test.each<[string, unknown, string, RegExp]>([
    ['a slip', inside({ agnet: {} }), `${at}.agnet`, /^unknown field; did you mean agent\?$/],
    ['a slip with the right step beside', inside({ ...ask, onEror: {} }), `${at}.onEror`, /did you mean onError\?/],
    [
      'a slip in a field',
      inside({ ...ask, forEach: { items: [1], paralelism: 2 } }),
      `${at}.forEach.paralelism`,
      /did you mean parallelism\?/,
    ],
    ['a field at the wrong level', inside({ ...ask, prompt: 'x' }), `${at}.prompt`, /did you mean agent.prompt\?/],
    [
      'a field of several others',
      inside({ ...ask, until: 'x' }),
      `${at}.until`,
      /did you mean forEach.until or repeat.until or wait.until\?/,
    ],
    ['a word of other tools', inside({ ...ask, if: 'x' }), `${at}.if`, /did you mean when\?/],
    [
      'a field of a tool that its arguments have',
      inside({ tool: { name: 'search', query: 'x' } }),
      `${at}.tool.query`,
      /there are: name, operation, args/,
    ],
    [
      'something else',
      inside({ ...ask, colour: 'red' }),
      `${at}.colour`,
      /unknown field; there are: name, needs, when/,
    ],
    [
      'in a fallback',
      { steps: [{ name: 'a', ...ask, onError: { fallback: [{ name: 'b', ...ask, whne: 'x' }] } }] },
      'steps[0].onError.fallback[0].whne',
      /did you mean when/,
    ],
    [
      'in a race',
      { steps: [{ name: 'a', race: [{ name: 'b', ...ask, whne: 'x' }] }] },
      'steps[0].race[0].whne',
      /did you mean when/,
    ],
    ['of the workflow', { steps: [{ name: 'a', ...ask }], limit: {} }, 'limit', /did you mean limits\?/],
    ['called like a method of objects', { steps: [{ name: 'a', ...ask }], toString: 1 }, 'toString', /unknown field/],
  ])('%s', (_, spec, path, message) => {
    expect(problemsOf(spec)).toEqual([{ path, message: expect.stringMatching(message) as unknown }]);
  });

  test('fields of values are the business of the author', () => {
    expect(problemsOf(inside({ value: { agnet: 1 } }, { input: { schema: { type: 'object', whatever: 1 } } }))).toEqual(
      [],
    );
  });
});

describe('of the workflow as a whole it is reported:', () => {
  const steps = [{ name: 'a', ...ask }];
  test.each<[string, unknown, string, RegExp]>([
    [
      'one name in two groups',
      {
        steps: [
          { name: 'g', steps },
          { name: 'h', steps },
        ],
      },
      'steps[1].steps[0].name',
      /another step a \(steps\[0\]\.steps\[0\]\): names are unique/,
    ],
    ['one name in steps and finally', { steps, finally: steps }, 'finally[0].name', /another step a/],
    ['a step called fallback', { steps: [{ name: 'fallback', ...ask }] }, 'steps[0].name', /choose another name/],
    [
      'a step called finally, deep inside',
      inside({ race: [{ name: 'finally', ...ask }] }),
      `${at}.race[0].name`,
      /choose another name/,
    ],
    [
      'a need for a step inside a group',
      {
        steps: [
          { name: 'g', steps },
          { name: 'b', ...ask, needs: ['a'] },
        ],
      },
      'steps[1].needs[0]',
      /a is inside g: needs takes names of the same list; name g instead/,
    ],
    [
      'a need for a step outside',
      {
        steps: [
          { name: 'b', ...ask },
          { name: 'g', steps: [{ name: 'a', ...ask, needs: ['b'] }] },
        ],
      },
      'steps[1].steps[0].needs[0]',
      /b is a step of the workflow itself: .*; write b into the needs of g/,
    ],
    [
      'a need of finally for a step',
      { steps, finally: [{ name: 'b', ...ask, needs: ['a'] }] },
      'finally[0].needs[0]',
      /a is a step of the workflow itself/,
    ],
    [
      'a circle in a group',
      inside({
        steps: [
          { name: 'b', ...ask, needs: ['c'] },
          { name: 'c', ...ask },
        ],
      }),
      `${at}.steps[0].needs`,
      /in a circle \(b → c → b\)/,
    ],
    [
      'a racer that goes on after a failure',
      { steps: [{ name: 'r', race: [{ name: 'a', ...ask, onError: { continue: true } }] }] },
      'steps[0].race[0].onError.continue',
      /does nothing in a race/,
    ],
    [
      'a timeout longer than the run',
      inside({ ...ask, timeout: '3h' }, { limits: { duration: '2h' } }),
      `${at}.timeout`,
      /3h is longer than limits.duration of 2h/,
    ],
    [
      'a timeout longer than that of the group',
      { steps: [{ name: 'g', timeout: '1h', steps: [{ name: 'a', ...ask, timeout: '2h' }] }] },
      'steps[0].steps[0].timeout',
      /2h is longer than the timeout of g of 1h/,
    ],
    [
      'a wait longer than the run',
      inside({ wait: { for: '3h' } }, { limits: { duration: '2h' } }),
      `${at}.wait.for`,
      /longer than limits.duration/,
    ],
    ['no steps at all', {}, 'steps', /is missing: it takes a list/],
    [
      'a limit that is no amount',
      { steps, limits: { costUsd: '5 EUR' } },
      'limits.costUsd',
      /US dollars in quotes, such as "0.50"/,
    ],
    [
      'a limit without quotes',
      { steps, limits: { costUsd: 5 } },
      'limits.costUsd',
      /takes a text, not a number: put quotes around it/,
    ],
  ])('%s', (_, spec, path, message) => {
    expect(problemsOf(spec)).toEqual([{ path, message: expect.stringMatching(message) as unknown }]);
  });

  test.each<[string, unknown]>([
    [
      'finally may take longer than the run',
      { steps, limits: { duration: '1m' }, finally: [{ name: 'b', ...ask, timeout: '5m' }] },
    ],
    [
      'a fallback is not bound by the timeout before it',
      { steps: [{ name: 'a', ...ask, timeout: '1m', onError: { fallback: [{ name: 'b', ...ask, timeout: '5m' }] } }] },
    ],
    [
      'retry of an event that has a timeout',
      { steps: [{ name: 'a', wait: { event: { name: 'x' } }, timeout: '1m', retry: { limit: 1 } }] },
    ],
    [
      'one round or all, as the input says',
      { steps: [{ name: 'a', ...ask, repeat: { max: 3, until: '$(input.once)', onMax: 'continue' } }] },
    ],
    ['a time that is computed', { steps: [{ name: 'a', wait: { until: '$(input.day)T12:00:00Z' } }] }],
    ['a condition that is always true', { steps: [{ name: 'a', ...ask, when: '$(true)' }] }],
  ])('but not: %s', (_, spec) => {
    expect(problemsOf(spec)).toEqual([]);
  });
});
