import { describe, expect, test } from '@jest/globals';
import { catalogOf, find } from './catalog.ts';
import { checkCatalog } from './check.ts';
import { parseDocuments } from './documents.ts';
import { problemLine } from './manifest.ts';

const api = 'apiVersion: kadre.dev/v1alpha1';
const model = `${api}\nkind: Model\nmetadata: {name: m}\nspec: {provider: simulated}\n`;
const agent = `${api}\nkind: Agent\nmetadata: {name: writer}\nspec: {instructions: Write., model: m}\n`;
const tool = `${api}\nkind: Tool\nmetadata: {name: calc}\n`;
const workflow = (steps: string) => `${api}\nkind: Workflow\nmetadata: {name: w}\nspec:\n  steps:\n${steps}\n`;
const ask = '    - {name: one, agent: {name: writer, prompt: Go}}';

function catalog(...files: string[]) {
  return catalogOf(
    files.flatMap((text, index) => parseDocuments(text, `${index}.yaml`, index)),
    'default',
  );
}

const route = (text: string): string => `${api}\nkind: Model\nmetadata: {name: r}\nspec: {route: ${text}}\n`;

function check(missing: 'error' | 'warning', ...files: string[]): string[] {
  return checkCatalog(catalog(...files), { missing }).map(problemLine);
}

describe('manifests are checked together', () => {
  test('and nothing is said of what is right', () => {
    expect(check('error', model, agent, workflow(ask), 'apiVersion: v1\nkind: ConfigMap\n')).toEqual([]);
  });

  test.each<[string, string[], string]>([
    ['an agent that is not there', [workflow(ask)], '0.yaml:6:27: spec.steps[0].agent.name: Agent writer'],
    ['a model that is not there', [agent], '0.yaml:4:30: spec.model: Model m in namespace default'],
    [
      'an agent of another namespace',
      [
        agent.replace('{name: writer}', '{name: writer, namespace: other}'),
        model.replace('{name: m}', '{name: m, namespace: other}'),
        workflow(ask),
      ],
      '2.yaml:6:27: spec.steps[0].agent.name: Agent writer in namespace default',
    ],
    [
      'a workflow that a step inside a group calls',
      [workflow('    - name: g\n      steps:\n        - {name: c, workflow: {name: other}}')],
      '0.yaml:8:32: spec.steps[0].steps[0].workflow.name: Workflow other',
    ],
    [
      'a pool, which is for the cluster to have',
      [model, agent, workflow('    - {name: a, agent: {name: writer, prompt: Go, gpu: {pool: a100}}}')],
      '2.yaml:6:57: warning: spec.steps[0].agent.gpu.pool: GpuPool a100',
    ],
    [
      'a key that the Secret does not have',
      [
        model.replace('simulated', 'openai, model: x, auth: {secretRef: {name: s, key: k}}'),
        'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {other: x}',
      ],
      '0.yaml:4:64: spec.auth.secretRef.key: Secret s has no key k; it has other',
    ],
    [
      'two that differ in one place',
      [`${model}---\n${model.replace('{provider', '{model: x, provider')}`],
      '0.yaml:8:12: warning: metadata.name: Model m is in 0.yaml:1, too, and differs',
    ],
    [
      'a Model that a route names and that is not there',
      [
        `${route('{strategy: consensus, candidates: [{model: m}, {model: other}], consensus: {judge: j}}')}---\n${model}---\n${model.replace('name: m', 'name: other')}`,
      ],
      'spec.route.consensus.judge: Model j in namespace default is not among these manifests',
    ],
    [
      'a rule of a route that is none',
      [
        `${route('{strategy: complexity, candidates: [{model: m, path: speed}], complexity: {rule: "promt"}}')}---\n${model}`,
      ],
      'spec.route.complexity.rule: cannot be used: Unknown variable: promt',
    ],
    [
      'a Tool that is not there',
      [
        model,
        agent.replace('model: m', 'model: m, tools: [{name: calc}, {name: search}]'),
        `${tool}spec: {builtin: {calculator: {}}}\n`,
      ],
      '1.yaml:4:63: spec.tools[1].name: Tool search in namespace default',
    ],
    [
      'a Workflow of a Tool',
      [`${tool}spec: {workflow: {name: report}}`],
      'spec.workflow.name: Workflow report in namespace default is not among these manifests',
    ],
    [
      'a key of a Tool that the Secret does not have',
      [
        `${tool}spec: {builtin: {slack: {channels: ['#a'], auth: {secretRef: {name: s, key: k}}}}}`,
        'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {other: x}',
      ],
      'spec.builtin.slack.auth.secretRef.key: Secret s has no key k; it has other',
    ],
    [
      'a rule of a Tool that is none',
      [`${tool}spec: {builtin: {calculator: {}}, policy: {rules: [{rule: 'true'}, {rule: arg.x}]}}`],
      'spec.policy.rules[1].rule: Unknown variable: arg; there are: args,',
    ],
    [
      'a rule about the approval of its calls that is none',
      [`${tool}spec: {builtin: {calculator: {}}, approval: {when: arg.x}}`],
      'spec.approval.when: Unknown variable: arg; there are: args,',
    ],
    ['a kind that is misspelled', [model.replace('Model', 'Modle')], 'kind: unknown kind "Modle": did you mean Model?'],
    ['a version to come', [model.replace('v1alpha1', 'v2')], 'apiVersion: this version of Kadre knows'],
    ['no object at all', ['- 1\n- 2'], '0.yaml:1:1: a manifest is a map'],
  ])('%s is found', (_, files, expected) => {
    expect(check('error', ...files)).toEqual([expect.stringContaining(expected)]);
  });

  test.each([
    ['that does not exist', 'agnet: {name: writer, prompt: Go}', 'agnet'],
    ['with a wrong expression', 'agent: {name: writer, prompt: $(inptu)}', 'inptu'],
    ['of the wrong type', 'timeout: 5, agent: {name: writer, prompt: Go}', 'timeout'],
  ])('a field of a step %s is named once, inside a group as outside', (_, fields, word) => {
    const outside = check('warning', model, agent, workflow(`    - {name: one, ${fields}}`));
    const inside = check('warning', model, agent, workflow(`    - name: g\n      steps: [{name: one, ${fields}}]`));
    expect(outside.filter((line) => line.includes(word))).toHaveLength(1);
    expect(inside.filter((line) => line.includes(word))).toHaveLength(1);
  });

  test('a spec of the wrong type is no reason to fall over', () => {
    for (const kind of ['Agent', 'Model', 'Tool', 'Workflow', 'Run', 'GpuPool']) {
      for (const spec of [
        '5',
        '[]',
        '{steps: 5}',
        '{steps: [null, 3]}',
        '{auth: x}',
        '{mcp: 5, http: {auth: x}}',
        '{tools: [null, 5]}',
        '{policy: {rules: [null]}}',
        '{approval: 5}',
        'null',
      ]) {
        expect(check('error', `${api}\nkind: ${kind}\nmetadata: {name: x}\nspec: ${spec}`)).not.toEqual([]);
      }
    }
  });
});

describe('of several objects of one name', () => {
  const other = model.replace('{provider', '{simulated: {tokensPerSecond: 5}, provider');

  test('a later -f replaces an earlier one', () => {
    expect(find(catalog(model, other), 'Model', 'default', 'm')?.document.file).toBe('1.yaml');
  });

  test('those of one -f are told apart by whoever runs them', () => {
    expect(() => find(catalog(`${model}---\n${other}`), 'Model', 'default', 'm')).toThrow(/Model m is there 2 times/);
    expect(find(catalog(`${model}---\n${model}`), 'Model', 'default', 'm')).toBeDefined();
  });
});
