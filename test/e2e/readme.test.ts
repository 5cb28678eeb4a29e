// The manifests of the README, word for word, in the order in which a newcomer applies them.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kubectl } from '../support/kubectl.ts';
import { finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

let kubectl: Kubectl;
let first: string;
let second: string;
beforeAll(async () => {
  const readme = await readFile(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  [first = '', second = ''] = [...readme.matchAll(/```yaml\n([^]*?)```/g)].map((match) => match[1] ?? '');
  kubectl = await makeNamespace('kadre-e2e-readme');
}, 300_000);
afterAll(() => removeNamespace(kubectl));

test('the first Agent answers at its Service', async () => {
  await kubectl.run(['apply', '-f', '-'], first);
  await ready(kubectl, 'agent', 'greeter');
  const forward = await kubectl.portForward('service/greeter', 80);
  const response = await fetch(`${forward.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'Hello' }),
  });
  forward.stop();
  expect(await response.json()).toMatchObject({ output: expect.stringContaining('Hello') });
});

test('the first Workflow greets everybody and counts', async () => {
  const names = (await kubectl.run(['create', '-o', 'name', '-f', '-'], second)).trim().split('\n');
  const run = await finished(kubectl, names.find((name) => name.startsWith('run'))?.split('/')[1] ?? '');
  const { phase, output } = run['status'];
  expect(phase).toBe('Succeeded');
  expect(output.greetings).toHaveLength(3);
  expect(output.greetings[0]).toContain('Ada');
  expect(output.characters).toBe(JSON.stringify(output.greetings).length);
});
