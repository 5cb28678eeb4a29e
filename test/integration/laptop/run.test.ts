// `kadre run` as a process: what it carries out, how it ends, and what is left of a run that was cut short.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startAgent } from '../../../engine/src/testing/agent-server.ts';
import { costly, Laptop, simulated, startedSteps, workflow } from './kadre.ts';

let laptop: Laptop;
beforeEach(async () => (laptop = await Laptop.open()));
afterEach(() => laptop.close());

const ask = (name: string, prompt = name) => `    - {name: ${name}, agent: {name: writer, prompt: ${prompt}}}`;
const nap = (name: string, time: string) => `    - {name: ${name}, wait: {for: ${time}}}`;
const signOff = (more = '') => `    - name: sign-off\n      approval: {message: Publish this?${more}}`;

const results = async (args: string[]) => {
  const { stdout, ...rest } = await laptop.kadre([...args, '-o', 'json']);
  return { ...rest, result: stdout === '' ? undefined : (JSON.parse(stdout) as Record<string, unknown>) };
};

describe('a run without a cluster', () => {
  test('carries out the article of the examples, but for the container, whose output is given', async () => {
    const files = ['-f', 'examples', '-f', 'examples/models/simulated.yaml'];
    const ended = await laptop.kadre([
      'run',
      ...files,
      'workflow/article',
      '-i',
      'topics=["gpu","k8s"]',
      '--stub',
      'embed={"words":42}',
    ]);
    expect(ended).toMatchObject({ status: 0 });
    expect(JSON.parse(ended.stdout)).toEqual({
      article: expect.stringContaining('What the facts say'),
      words: 42,
      sources: 2,
    });
    expect(startedSteps(ended)).toEqual(['research[0]', 'research[1]', 'write', 'judge']);
    expect(ended.stderr).not.toContain('Warning');
  });

  test('asks an agent a question, and prints its answer alone', async () => {
    const file = await laptop.manifests(simulated);
    const ended = await laptop.kadre(['run', '-f', file, 'agent/writer', '--prompt', 'What is $(this)?', '--quiet']);
    expect(ended).toEqual({ status: 0, stdout: 'Reply to What is $(this)?\n', stderr: '' });
  });

  test('holds what may be spent: Budgets over all runs, however many are at work, and the limits of an Agent', async () => {
    const spend = async (pocket: string, limits = '') => {
      const manifests = ['-f', await laptop.manifests(costly(pocket, limits))];
      return (await results(['run', ...manifests, 'agent/writer', '--prompt', 'Hi'])).result;
    };
    const ten = "limits: {costUsd: '12'}";
    expect(await spend(ten)).toMatchObject({ phase: 'Succeeded' });
    expect(await spend(ten)).toMatchObject({ failure: { reason: 'BudgetExceeded' } });
    expect(await spend(`${ten}, action: warn`)).toMatchObject({ phase: 'Succeeded' });
    const two = await Promise.all([spend("limits: {costUsd: '35'}"), spend("limits: {costUsd: '35'}")]);
    expect(two.map((one) => one?.['phase']).sort()).toEqual(['Failed', 'Succeeded']);
    expect(await spend('limits: {requests: 1000}', 'limits: {tokens: 1}')).toMatchObject({
      failure: { reason: 'LimitExceeded' },
    });
  });

  test('reads manifests from standard input', async () => {
    const input = workflow('w', ask('one'));
    expect(await laptop.kadre(['run', '-f', '-', 'workflow/w'], { input })).toMatchObject({
      status: 0,
      stdout: 'Reply to one\n',
    });
  });

  test('calls workflows, loops, races, and falls back as in a cluster', async () => {
    const steps = [
      '    - {name: loop, repeat: {until: $(output > 2), max: 5}, value: "$(round)"}',
      '    - {name: race, race: [{name: slow, wait: {for: 1h}}, {name: fast, value: fast}]}',
      `    - {name: risky, agent: {name: writer, prompt: fail}, onError: {fallback: [{name: safe, value: safe}]}}`,
      '    - {name: call, workflow: {name: inner, input: {n: 1}}}',
    ];
    const inner = `---\napiVersion: kadre.dev/v1alpha1\nkind: Workflow\nmetadata: {name: inner}\nspec: {steps: [{name: v, value: "$(input)"}]}`;
    const output =
      '  output: ["$(steps.loop.output)", "$(steps.race.output)", "$(steps.risky.output)", "$(steps.call.output)"]\n';
    const file = await laptop.manifests(workflow('w', steps.join('\n'), output) + inner);
    const { status, result } = await results(['run', '-f', file, 'workflow/w']);
    expect({ status, output: result?.['output'] }).toEqual({ status: 0, output: [3, 'fast', 'safe', { false: 1 }] });
  });

  test('asks agents that somebody else serves', async () => {
    const agent = await startAgent(({ text }) => ({ text: `served: ${text}` }));
    laptop.closing(() => agent.close());
    const file = await laptop.manifests(workflow('w', '    - {name: one, agent: {name: stranger, prompt: Hi}}'));
    const ended = await laptop.kadre(['run', '-f', file, '--agent', `stranger=${agent.url}`]);
    expect(ended).toMatchObject({ status: 0, stdout: 'served: Hi\n' });
  });

  test('gives a key to its provider alone, and writes it down nowhere', async () => {
    const CANARY = 'canary-5f2c';
    const keys: unknown[] = [];
    const provider = createServer((request, response) => {
      keys.push(request.headers.authorization);
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: { message: `bad key ${CANARY}` } }));
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    laptop.closing(() => provider.close());
    const { port } = provider.address() as AddressInfo;
    const real = `provider: openaiCompatible\n  model: x\n  baseUrl: http://127.0.0.1:${port}\n  auth: {secretRef: {name: llm, key: k}}`;
    const file = await laptop.manifests(
      workflow('w', ask('one')).replace(/provider: simulated[^]*?---/, `${real}\n---`),
    );
    const ended = await laptop.kadre(['run', '-f', file, '--log-level', 'debug'], {
      env: { KADRE_SECRET_LLM_K: CANARY },
    });
    expect(ended.status).toBe(1);
    expect(keys).toContain(`Bearer ${CANARY}`);
    expect(ended.stdout + ended.stderr).not.toContain(CANARY);
    for (const one of await readdir(laptop.history, { recursive: true, withFileTypes: true })) {
      if (one.isFile()) expect(await readFile(join(one.parentPath, one.name), 'latin1')).not.toContain(CANARY);
    }
  });
});

describe('the exit status', () => {
  test.each<[number, string, string[], string]>([
    [1, 'a step fails', ['-i', 'a=1'], ask('one', 'fail')],
    [1, 'a limit is reached', ['--limits', 'steps=1'], `${ask('one')}\n${ask('two')}`],
    [2, 'an option is unknown', ['--inptu', 'a=1'], ask('one')],
    [2, 'a container would have to run', [], '    - {name: one, container: {image: x}}'],
    [
      2,
      'the input is not what the workflow takes',
      [],
      `${ask('one')}\n  input: {schema: {type: object, required: [topic]}}`,
    ],
    [2, 'the workflow is wrong', [], '    - {name: one, agent: {name: writer, prompt: $(inptu)}}'],
    [4, 'somebody must decide', [], signOff()],
    [4, 'an event must come', [], '    - {name: one, wait: {event: {name: paid}}}'],
    [1, 'somebody said no', ['--answer', 'sign-off=false'], signOff()],
    [0, 'somebody said yes to all', ['--yes'], signOff()],
    [0, 'time is up and that means yes', [], signOff(', timeout: 1s, onTimeout: approve')],
  ])('is %i when %s', async (status, _, args, steps) => {
    const file = await laptop.manifests(workflow('w', steps));
    expect(await laptop.kadre(['run', '-f', file, 'workflow/w', ...args])).toMatchObject({ status });
  });
});

describe('a run that was cut short', () => {
  const steps = [ask('first'), nap('pause', '3s'), ask('second')].join('\n');
  const last = '  finally:\n    - {name: bye, agent: {name: writer, prompt: "bye $(run.phase)"}}\n';

  test.each<[NodeJS.Signals, number | null]>([
    ['SIGKILL', null],
    ['SIGTERM', 143],
  ])('by %s goes on where it was, and does nothing twice', async (signal, status) => {
    const file = await laptop.manifests(workflow('w', steps));
    const cut = laptop.start(['run', '-f', file, '--name', 'r']);
    await cut.says('pause waits');
    cut.kill(signal);
    expect(await cut.ended).toMatchObject({ status });
    expect((await laptop.kadre(['runs'])).stdout).toMatch(/^r +w +Left/m);
    const resumed = await laptop.kadre(['run', '--resume', 'r']);
    expect(resumed).toMatchObject({ status: 0, stdout: 'Reply to second\n' });
    expect(startedSteps(resumed)).toEqual(['second']);
    expect(await laptop.kadre(['run', '--resume', 'r'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('is over'),
    });
  });

  test('before it began begins when it is resumed', async () => {
    const file = await laptop.manifests(workflow('w', ask('one')));
    await laptop.kadre(['run', '-f', file, '--name', 'r']);
    const record = JSON.parse(await readFile(join(laptop.history, 'runs/r/run.json'), 'utf8')) as object;
    await mkdir(join(laptop.history, 'runs/s'));
    const fresh = { ...record, name: 's', uid: 'uid-s', finishedAt: undefined, phase: undefined };
    await writeFile(join(laptop.history, 'runs/s/run.json'), JSON.stringify(fresh));
    expect(await laptop.kadre(['run', '--resume', 's'])).toMatchObject({ status: 0, stdout: 'Reply to one\n' });
  });

  test('by Ctrl-C is cancelled, with its last steps carried out', async () => {
    const file = await laptop.manifests(workflow('w', steps, last));
    const cut = laptop.start(['run', '-f', file]);
    await cut.says('pause waits');
    cut.kill('SIGINT');
    const ended = await cut.ended;
    expect(ended.status).toBe(3);
    expect(startedSteps(ended)).toEqual(['first', 'bye']);
  });

  test('by a second Ctrl-C is left at once', async () => {
    const agent = await startAgent(() => new Promise(() => undefined));
    laptop.closing(() => agent.close());
    const file = await laptop.manifests(workflow('w', '    - {name: one, agent: {name: slow, prompt: x}}', last));
    const cut = laptop.start(['run', '-f', file, '--agent', `slow=${agent.url}`, '--name', 'r']);
    await cut.says('one started');
    cut.kill('SIGINT');
    await cut.says('Cancelling');
    cut.kill('SIGINT');
    const ended = await cut.ended;
    expect([3, 130]).toContain(ended.status);
  });

  test('is in the hands of one process at a time, while others run beside it', async () => {
    const file = await laptop.manifests(workflow('w', steps));
    const one = laptop.start(['run', '-f', file, '--name', 'one']);
    await one.says('pause waits');
    expect(await laptop.kadre(['run', '--resume', 'one'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('another kadre is at work on the run one'),
    });
    expect(await laptop.kadre(['run', '-f', file, '--name', 'two'])).toMatchObject({ status: 0 });
    expect(await one.ended).toMatchObject({ status: 0 });
  });

  test('because somebody must decide goes on with the decision', async () => {
    const form = ', form: {schema: {type: object, required: [score], properties: {score: {type: integer}}}}';
    const file = await laptop.manifests(
      workflow('w', `${ask('first')}\n${signOff(form)}`, '  output: $(steps["sign-off"].output.answer)\n'),
    );
    expect(await laptop.kadre(['run', '-f', file, '--name', 'r'])).toMatchObject({ status: 4 });
    expect(await laptop.kadre(['run', '--resume', 'r', '--answer', 'sign-off={"score":"high"}'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('score must be integer'),
    });
    const { status, result, stderr } = await results(['run', '--resume', 'r', '--answer', 'sign-off={"score":9}']);
    expect({ status, output: result?.['output'] }).toEqual({ status: 0, output: { score: 9 } });
    expect(stderr).not.toContain('first');
  });

  test('because an event must come goes on with the first that its filter takes', async () => {
    const file = await laptop.manifests(
      workflow('w', '    - {name: paid, wait: {event: {name: paid, filter: $(event.sum > 5)}}}'),
    );
    expect(await laptop.kadre(['run', '-f', file, '--name', 'r', '--event', 'paid={"sum":1}'])).toMatchObject({
      status: 4,
    });
    const { status, result } = await results([
      'run',
      '--resume',
      'r',
      '--event',
      'paid={"sum":2}',
      '--event',
      'paid={"sum":7}',
    ]);
    expect({ status, output: result?.['output'] }).toEqual({ status: 0, output: { sum: 7 } });
  });
});

describe('a recorded run', () => {
  const steps = [ask('first'), ask('second'), ask('third')].join('\n');

  test('is shown, and read again from its log to the same end', async () => {
    const file = await laptop.manifests(workflow('w', steps));
    const first = await laptop.kadre(['run', '-f', file, '--name', 'r']);
    const again = await laptop.kadre(['run', '--replay', 'r']);
    expect(again).toMatchObject({ status: 0, stdout: first.stdout });
    expect(again.stderr).toBe(`${first.stderr}The log comes to what was recorded.\n`);
    expect(await laptop.kadre(['run', '--replay', 'r'])).toEqual(again);
    expect(await laptop.kadre(['show', 'r'])).toMatchObject({
      status: 0,
      stdout: first.stdout,
      stderr: expect.stringContaining('✓ second'),
    });
    const [listed] = JSON.parse((await laptop.kadre(['runs', '-o', 'json'])).stdout) as object[];
    expect(listed).toMatchObject({ name: 'r', phase: 'Succeeded', costUsd: expect.any(Number) });
  });

  test('can be forked from a step, with another prompt there', async () => {
    const file = await laptop.manifests(
      workflow('w', steps, '  output: ["$(steps.first.output)", "$(steps.second.output)"]\n'),
    );
    await laptop.kadre(['run', '-f', file, '--name', 'r']);
    const forked = await laptop.kadre(['run', '--fork', 'r', '--from', 'second', '--prompt', 'other', '--name', 'f']);
    expect(startedSteps(forked)).toEqual(['second', 'third']);
    expect(JSON.parse(forked.stdout)).toEqual(['Reply to first', 'Reply to other']);
    expect(await laptop.kadre(['run', '--replay', 'f', '-q'])).toMatchObject({ status: 0, stdout: forked.stdout });
  });

  test('that failed can be forked without what succeeded, after the manifests were mended', async () => {
    const broken = await laptop.manifests(workflow('w', steps.replace('prompt: second', 'prompt: fail')));
    expect(await laptop.kadre(['run', '-f', broken, '--name', 'r'])).toMatchObject({ status: 1 });
    const mended = await laptop.manifests(workflow('w', steps));
    const forked = await laptop.kadre(['run', '--fork', 'r', '-f', mended]);
    expect(startedSteps(forked)).toEqual(['second', 'third']);
    expect(forked).toMatchObject({ status: 0, stdout: 'Reply to third\n' });
  });

  test('leaves what its steps cache to later runs', async () => {
    const cached = '    - {name: one, cache: {key: $(input.k)}, agent: {name: writer, prompt: $(input.k)}}';
    const file = await laptop.manifests(workflow('w', cached));
    const run = (key: string) => laptop.kadre(['run', '-f', file, '-i', `k=${key}`]);
    expect(startedSteps(await run('a'))).toEqual(['one']);
    expect(startedSteps(await run('a'))).toEqual([]);
    expect(startedSteps(await run('b'))).toEqual(['one']);
  });
});
