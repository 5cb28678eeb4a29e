import { describe, expect, test } from '@jest/globals';
import { catalogOf } from '../manifests/catalog.ts';
import { parseDocuments } from '../manifests/documents.ts';
import { literal, pin } from './pin.ts';
import { findTarget } from './target.ts';

const api = 'apiVersion: kadre.dev/v1alpha1';
const base = `${api}
kind: Model
metadata: {name: m}
spec: {provider: simulated}
---
${api}
kind: Agent
metadata: {name: writer}
spec: {instructions: Write., model: m}
---
${api}
kind: Workflow
metadata: {name: inner}
spec: {steps: [{name: train, container: {image: 'trainer:1'}}]}
`;

function pinned(
  text: string,
  options: { target?: string; prompt?: string; stubs?: object; served?: object; servers?: object; env?: object } = {},
) {
  const catalog = catalogOf(parseDocuments(text, 'x.yaml', 0), 'default');
  const { target, prompt, stubs = {}, served = {}, servers = {}, env = {} } = options;
  const wanted = {
    namespace: 'default',
    ...(target !== undefined && { target }),
    ...(prompt !== undefined && { prompt }),
  };
  return pin(catalog, findTarget(catalog, wanted), {
    stubs: new Map(Object.entries(stubs)),
    served: new Map(Object.entries(served) as [string, string][]),
    servers: new Map(Object.entries(servers) as [string, string][]),
    env: env as Record<string, string>,
  });
}

const workflow = (name: string, steps: string) =>
  `${base}---\n${api}\nkind: Workflow\nmetadata: {name: ${name}}\nspec: {steps: [${steps}]}\n`;
const call = workflow('outer', '{name: c, workflow: {name: inner}}');
const outer = { target: 'workflow/outer' };

describe('a run is pinned', () => {
  test('with the workflows, agents and models that it names, and no others', () => {
    const { pinned: run } = pinned(workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}'), outer);
    expect(run).toMatchObject({ subject: 'outer', namespace: 'default', workflows: {} });
    expect([run.agents, run.models].map((list) => list.map(({ metadata }) => metadata.name))).toEqual([
      ['writer'],
      ['m'],
    ]);
  });

  test('with all Models that a route names, whose keys must be there', () => {
    const routed = `${base.replace('spec: {provider: simulated}', 'spec: {route: {strategy: consensus, candidates: [{model: x}, {model: w}], consensus: {judge: w, synthesizer: z}}}')}---
${api}\nkind: Model\nmetadata: {name: x}\nspec: {provider: simulated}\n---
${api}\nkind: Model\nmetadata: {name: w}\nspec: {provider: simulated}\n---
${api}\nkind: Model\nmetadata: {name: z}\nspec: {provider: openai, model: gpt, auth: {secretRef: {name: s, key: k}}}\n---
${api}\nkind: Workflow\nmetadata: {name: outer}\nspec: {steps: [{name: a, agent: {name: writer, prompt: Go}}]}\n`;
    expect(() => pinned(routed, outer)).toThrow(/Model z needs the key k/);
    const { pinned: run } = pinned(routed, { ...outer, env: { OPENAI_API_KEY: 'sk' } });
    expect(run.models.map(({ metadata }) => metadata.name)).toEqual(['m', 'x', 'w', 'z']);
  });

  test('with the Tools that its agents may use, whose keys must be there', () => {
    const tool = (name: string, spec: string) =>
      `---\n${api}\nkind: Tool\nmetadata: {name: ${name}}\nspec: {mcp: {url: 'http://localhost:9/mcp'${spec}}}\n`;
    const granting = workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}').replace(
      'model: m}',
      'model: m, tools: [{name: search, allow: [read_*]}]}',
    );
    expect(() => pinned(granting, outer)).toThrow(/Tool search is not among these manifests: add -f with its file/);
    const keyed = granting + tool('search', ', auth: {secretRef: {name: s, key: k}}') + tool('other', '');
    expect(() => pinned(keyed, outer)).toThrow(/Tool search needs the key k of Secret s: set KADRE_SECRET_S_K/);
    const { pinned: run } = pinned(keyed, { ...outer, env: { KADRE_SECRET_S_K: 'x' } });
    expect(run.tools?.map(({ metadata }) => metadata.name)).toEqual(['search']);
    expect(JSON.stringify(run)).not.toContain('KADRE_SECRET');
  });

  test('with a Tool whose image cannot run here, at the address where somebody runs it', () => {
    const served = `${workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}').replace(
      'model: m}',
      'model: m, tools: [{name: crm}]}',
    )}---\n${api}\nkind: Tool\nmetadata: {name: crm}\nspec: {mcp: {server: {image: 'crm:1'}}}\n`;
    expect(() => pinned(served, outer)).toThrow(/Tool crm runs the image crm:1.*add --tool crm=URL/);
    expect(() => pinned(served, { ...outer, servers: { crn: 'http://x' } })).toThrow(/--tool crn: no agent/);
    const { pinned: run } = pinned(served, { ...outer, servers: { crm: 'http://localhost:9/mcp' } });
    expect(run.tools?.[0]?.spec.mcp).toEqual({ url: 'http://localhost:9/mcp' });
  });

  test('with the Workflows that Tools run, and all that these name; even one that runs itself', () => {
    const tool = (name: string, runs: string) =>
      `---\n${api}\nkind: Tool\nmetadata: {name: ${name}}\nspec: {workflow: {name: ${runs}}}\n`;
    const report = `---\n${api}\nkind: Workflow\nmetadata: {name: report}\nspec: {steps: [{name: c, workflow: {name: inner}}, {name: w, agent: {name: writer, prompt: Go}}, {name: again, tool: {name: report}}]}\n`;
    const offered = workflow('outer', '{name: a, tool: {name: report}}') + tool('report', 'report');
    expect(() => pinned(offered, outer)).toThrow(/Workflow report is not among these manifests/);
    expect(() => pinned(offered + report, outer)).toThrow(/step train of inner runs the container trainer:1/);
    const { pinned: run } = pinned(offered + report, { ...outer, stubs: { train: 1 } });
    expect(run.workflows).toEqual({});
    expect(run.toolWorkflows).toMatchObject([
      { object: { metadata: { name: 'report' } }, workflows: { inner: { steps: [{ value: 1 }] } } },
    ]);
    expect(run.agents.map(({ metadata }) => metadata.name)).toEqual(['writer']);
  });

  test('with agents asked in this process wherever a cluster would ask them, and devices left out with a warning', () => {
    const steps = '{name: g, race: [{name: a, agent: {name: writer, prompt: Go, isolation: job, gpu: {pool: p}}}]}';
    const { pinned: run, warnings } = pinned(workflow('outer', steps), outer);
    expect(run.workflow.steps[0]?.race?.[0]?.agent).toEqual({ name: 'writer', prompt: 'Go' });
    expect(warnings).toEqual(['step a asks for 1 device(s) of GpuPool p: here its agent runs without']);
  });

  test('with what somebody gave in place of a container, in which $(…) is no expression', () => {
    const { pinned: run } = pinned(call, { ...outer, stubs: { train: { text: '$(input)' } } });
    expect(run.workflows['inner']?.steps).toEqual([
      expect.objectContaining({ name: 'train', value: { text: '$$(input)' } }),
    ]);
    expect(run.workflows['inner']?.steps[0]?.container).toBeUndefined();
  });

  test('with the agents that its agents may ask, and whom these ask; or their addresses', () => {
    const asking = workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}').replace(
      'model: m}',
      'model: m, agents: [{name: editor}]}',
    );
    expect(() => pinned(asking, outer)).toThrow(/Agent editor is not among these manifests/);
    expect(pinned(asking, { ...outer, served: { editor: 'http://localhost:9' } }).pinned.agents).toHaveLength(1);
    const editor = `---\n${api}\nkind: Agent\nmetadata: {name: editor}\nspec: {instructions: Go, model: m, agents: [{name: writer}]}\n`;
    const { pinned: run } = pinned(asking + editor, outer);
    expect(run.agents.map(({ metadata }) => metadata.name)).toEqual(['writer', 'editor']);
  });

  test('with an agent that somebody else serves, which need not be described', () => {
    const steps = '{name: a, agent: {name: stranger, prompt: Go}}';
    expect(
      pinned(workflow('outer', steps), { ...outer, served: { stranger: 'http://localhost:9' } }).pinned.agents,
    ).toEqual([]);
  });

  test.each<[string, string, object, RegExp]>([
    [
      'a container, inside a called workflow, too',
      call,
      {},
      /step train of inner runs the container trainer:1.*--stub train=JSON/,
    ],
    [
      'a stub for no step',
      call,
      { stubs: { train: 1, trian: 2 } },
      /--stub trian: no container or code step has this name/,
    ],
    ['an address for no agent', call, { stubs: { train: 1 }, served: { x: 'http://x' } }, /--agent x: no step asks/],
    [
      'an agent that is not there',
      workflow('outer', '{name: a, agent: {name: b, prompt: Go}}'),
      {},
      /Agent b is not among/,
    ],
    [
      'a workflow that is not there',
      workflow('outer', '{name: a, workflow: {name: b}}'),
      {},
      /Workflow b is not among/,
    ],
    [
      'a mistake',
      workflow('outer', '{name: a, agent: {name: writer}}'),
      {},
      /x.yaml:\d+:\d+: spec.steps\[0\].agent: an agent must be asked/,
    ],
    [
      'an image of its own',
      workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}').replace(
        'model: m}',
        'model: m, runtime: {image: mine}}',
      ),
      {},
      /Agent writer runs the image mine/,
    ],
    [
      'code that wants a wall of its own',
      `${workflow('outer', '{name: a, tool: {name: compute}}')}---\n${api}\nkind: Tool\nmetadata: {name: compute}\nspec: {builtin: {code: {runtimeClassName: gvisor}}}\n`,
      {},
      /Tool compute: code runs under the runtime class gvisor on a cluster alone/,
    ],
    [
      'a model without its key',
      workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}').replace(
        'provider: simulated',
        'provider: openai, model: x, auth: {secretRef: {name: s, key: k}}',
      ),
      {},
      /set KADRE_SECRET_S_K or OPENAI_API_KEY/,
    ],
  ])('not with %s', (_, text, options, message) => {
    expect(() => pinned(text, { ...outer, ...options })).toThrow(message);
  });

  test('a mistake in a manifest that the run does not need is no obstacle', () => {
    const text = `${workflow('outer', '{name: a, agent: {name: writer, prompt: Go}}')}---\n${api}\nkind: Agent\nmetadata: {name: bad}\nspec: {}\n`;
    expect(pinned(text, outer).pinned.subject).toBe('outer');
  });
});

describe('what is to be run', () => {
  const withRun = (spec: string) =>
    `${call}---\n${api}\nkind: Run\nmetadata: {generateName: nightly-}\nspec: ${spec}\n`;

  test.each<[string, string, object, object]>([
    ['a question to an agent', base, { target: 'agent/writer', prompt: 'Hi $(x)' }, { subject: 'writer' }],
    [
      'the only Run, with its input',
      withRun('{workflow: {name: outer}, input: {id: 1}}'),
      {},
      { subject: 'outer', input: { id: 1 } },
    ],
    [
      'a Run by the beginning of its name',
      withRun('{workflow: {name: outer}}'),
      { target: 'run/nightly' },
      { subject: 'outer' },
    ],
    ['the only workflow', base, {}, { subject: 'inner' }],
  ])('can be %s', (_, text, options, expected) => {
    expect(
      pinned(text, { stubs: text.includes('outer') || !('target' in options) ? { train: 1 } : {}, ...options }).pinned,
    ).toMatchObject(expected);
  });

  test('can be written in the Run itself', () => {
    const text = withRun('{inline: {steps: [{name: v, value: 1}]}, limits: {steps: 5}}');
    expect(pinned(text, { target: 'run/nightly' }).pinned).toMatchObject({ subject: 'nightly', limits: { steps: 5 } });
  });

  test.each<[string, string, object, RegExp]>([
    ['several workflows', call, {}, /say what to run: .*there is workflow\/inner, workflow\/outer/],
    ['no such workflow', call, { target: 'workflow/x' }, /no Workflow x .*there is workflow\/inner, workflow\/outer/],
    ['a bare name', call, { target: 'outer' }, /outer: say what to run as workflow\/NAME/],
    ['an agent and no question', call, { target: 'agent/writer' }, /must be asked something: add --prompt/],
    ['a workflow and a question', call, { target: 'workflow/outer', prompt: 'x' }, /--prompt is for agents/],
    ['a Run that forks', withRun('{fork: {run: r}}'), {}, /kadre run --fork/],
  ])('is asked for when there is %s', (_, text, options, message) => {
    expect(() => pinned(text, options)).toThrow(message);
  });
});

test('a literal value stands for itself', () => {
  expect(literal(['$(a)', { b: '$$(c)' }, 5, null])).toEqual(['$$(a)', { b: '$$$(c)' }, 5, null]);
});
