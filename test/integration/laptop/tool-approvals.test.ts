// What agents of `kadre run` ask people: a question, and whether they may do what they want to.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Laptop } from './kadre.ts';

let laptop: Laptop;
beforeEach(async () => (laptop = await Laptop.open()));
afterEach(() => laptop.close());

const manifests = (more = '') => `
apiVersion: kadre.dev/v1alpha1
kind: Tool
metadata: {name: customer}
spec: {builtin: {ask: {}}, trust: trusted}
---
apiVersion: kadre.dev/v1alpha1
kind: Tool
metadata: {name: price}
spec: {builtin: {calculator: {}}, trust: trusted, approval: {${more}}}
---
apiVersion: kadre.dev/v1alpha1
kind: Agent
metadata: {name: florist}
spec: {instructions: Help., model: m, tools: [{name: customer}, {name: price}]}
---
apiVersion: kadre.dev/v1alpha1
kind: Model
metadata: {name: m}
spec:
  provider: simulated
  simulated:
    script:
      - {matchToolResult: '^[0-9.]+$', reply: 'That is $(toolResult).'}
      - {matchToolResult: 'rejected|declined', reply: 'Sorry: $(toolResult)'}
      - {matchToolResult: '.', toolCalls: [{name: price, arguments: '{"expression": "12 * 1.2"}'}]}
      - {match: 'price', reply: '', toolCalls: [{name: price, arguments: '{"expression": "2 * 3"}'}]}
      - {reply: '', toolCalls: [{name: customer, arguments: '{"question": "Red or yellow?"}'}]}
`;
const run = async (prompt: string, args: string[], more?: string) =>
  laptop.kadre(['run', '-f', await laptop.manifests(manifests(more)), 'agent/florist', '--prompt', prompt, ...args]);

test('--yes approves calls; --answer says no', async () => {
  expect(await run('The price?', ['--yes'])).toMatchObject({ status: 0, stdout: 'That is 6.\n' });
  const refused = await run('The price?', ['--answer', 'florist=false']);
  expect(refused.stdout).toMatch(/^Sorry: Error: \S+ rejected this call of Tool price\.\n$/);
});

test('what `when` lets pass is not asked for', async () => {
  const more = "when: 'args.expression.size() > 100'";
  expect(await run('The price?', [], more)).toMatchObject({ status: 0, stdout: 'That is 6.\n' });
});

test('--answer gives an agent the words that it asks for, and approves its calls', async () => {
  expect(await run('Tulips.', ['--answer', 'florist=Red.'])).toMatchObject({ status: 0, stdout: 'That is 14.4.\n' });
});

test('with nobody to ask the run is left as it is, and goes on where it was', async () => {
  const left = await run('Tulips.', ['--name', 'order']);
  expect(left).toMatchObject({ status: 4, stdout: '' });
  expect(left.stderr).toContain('florist waits for a decision');
  expect(left.stderr).toContain('kadre run --resume order');
  const resumed = await laptop.kadre(['run', '--resume', 'order', '--answer', 'florist=Red.']);
  expect(resumed).toMatchObject({ status: 0, stdout: 'That is 14.4.\n' });
});
