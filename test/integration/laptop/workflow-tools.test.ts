// Tools of `kadre run` that are Workflows: each call is a run of its own, which people decide for and which ends with whoever asked.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openSqliteStore } from '@kadre/store';
import { join } from 'node:path';
import { Laptop } from './kadre.ts';

let laptop: Laptop;
beforeEach(async () => (laptop = await Laptop.open()));
afterEach(() => laptop.close());

const api = 'apiVersion: kadre.dev/v1alpha1';
const manifests = (ask: string, step: string) => `${api}
kind: Workflow
metadata: {name: outer}
spec:
  steps:
    - {name: ask, tool: {name: report, args: {topic: tea}}, ${ask}}
    - {name: say, needs: [ask], value: $(steps.ask.output)}
---
${api}
kind: Tool
metadata: {name: report}
spec: {workflow: {name: report}}
---
${api}
kind: Workflow
metadata: {name: report}
spec:
  input: {schema: {type: object, properties: {topic: {type: string}}}}
  steps:
    - {name: sign, ${step}}
    - {name: tell, needs: [sign], value: about $(input.topic)}
`;
const run = async (text: string, ...more: string[]) =>
  laptop.kadre(['run', '-f', await laptop.manifests(text), 'workflow/outer', '--name', 'main', '-o', 'json', ...more]);
const runsOf = async (name: string) => {
  const store = openSqliteStore(join(laptop.history, 'runs', name, 'kadre.db'));
  const requests = await store.openRunRequests();
  await store.close();
  return requests;
};

test('the example is carried out, and the steps of the child are told', async () => {
  const args = ['-f', 'examples/tools/workflow.yaml', 'agent/sales', '--prompt', 'May Brown pay later?'];
  const ended = await laptop.kadre(['run', ...args]);
  expect(ended).toMatchObject({ status: 0, stdout: 'The credit check says: Brown pays.\n' });
  expect(ended.stderr).toMatch(/credit-check-\w+: verdict succeeded/);
});

test('a child that waits for people lets the run be left; it is joined when that goes on, and looked back at', async () => {
  const text = manifests('timeout: 1h', "approval: {message: 'Fine?'}");
  const left = await run(text);
  expect(left.status).toBe(4);
  expect(await runsOf('main')).toHaveLength(1);
  const resumed = await laptop.kadre(['run', '--resume', 'main', '--yes', '-o', 'json']);
  expect(JSON.parse(resumed.stdout)).toMatchObject({ phase: 'Succeeded', output: 'about tea' });
  expect(await runsOf('main')).toEqual([]);
  expect(await laptop.kadre(['run', '--replay', 'main', '--quiet'])).toMatchObject({ status: 0 });
});

test('a child ends with the step that has asked for it', async () => {
  const text = manifests('timeout: 1s, onError: {continue: true}', "wait: {for: '1h'}");
  const ended = await run(text.replace('value: $(steps.ask.output)', 'wait: {event: {name: go}}'));
  // The run is left when only people can help, and not before the child is over.
  expect(ended.status).toBe(4);
  expect(ended.stderr).toMatch(/report-\w+: the run was cancelled/);
});
