import { expect, test } from '@jest/globals';
import type { WorkflowSpec } from '@kadre/crds';
import { calledWorkflows } from '@kadre/engine';
import { agentsOf, countSteps, needsRequester, poolsOf } from './references.ts';

const ask = (name: string) => ({ name: `ask-${name}`, agent: { name, prompt: 'Go' } });
const call = (name: string) => ({ name: `call-${name}`, workflow: { name } });
const train = (pool: string) => ({ name: `train-${pool}`, container: { image: 'i', gpu: { pool, count: 1 } } });

const nested = {
  steps: [
    ask('top'),
    { name: 'group', steps: [ask('grouped'), { name: 'deeper', steps: [ask('deep'), train('t4'), call('deep')] }] },
    { name: 'race', race: [ask('racer'), call('raced')] },
    { ...ask('top'), name: 'risky', onError: { fallback: [ask('saviour'), train('a100')] } },
  ],
  finally: [ask('last'), call('last'), call('deep')],
} as WorkflowSpec;

test('a workflow names Agents, GpuPools and Workflows at all levels', () => {
  expect(agentsOf(nested)).toEqual(['deep', 'grouped', 'last', 'racer', 'saviour', 'top']);
  expect(poolsOf(nested)).toEqual(['a100', 't4']);
  expect(calledWorkflows(nested)).toEqual(['deep', 'last', 'raced']);
  expect(countSteps(nested)).toBe(16);
});

test.each<[string, unknown]>([
  ['a nested step that is none', { steps: [{ name: 'g', steps: [null, 5, 'x', { agent: null }, { agent: 'a' }] }] }],
  ['a group that is no list', { steps: [{ name: 'g', steps: { a: 1 }, race: 'r', onError: { fallback: 3 } }] }],
  [
    'names that are none',
    { steps: [{ name: 'g', steps: [{ agent: { name: 7, gpu: 'x' }, workflow: { name: {} } }] }] },
  ],
  ['no steps at all', {}],
])('%s is no reference', (_, spec) => {
  const rubbish = spec as WorkflowSpec;
  expect([agentsOf(rubbish), poolsOf(rubbish), calledWorkflows(rubbish)]).toEqual([[], [], []]);
});

test('somebody must have asked for a run if somebody else must decide, at whatever level', () => {
  const ask = (otherThanRequester?: boolean) => ({
    name: 'ask',
    approval: { message: 'Go?', ...(otherThanRequester !== undefined && { otherThanRequester }) },
  });
  const within = (step: object) => ({ steps: [{ name: 'g', race: [{ name: 'h', steps: [step] }] }] }) as WorkflowSpec;
  expect([ask(), ask(false), ask(true)].map((step) => needsRequester(within(step)))).toEqual([false, false, true]);
});
