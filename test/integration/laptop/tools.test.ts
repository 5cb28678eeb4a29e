// Agents of `kadre run` with tools: the reference server of MCP, a key from the environment, and a webhook that is not to be called.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startServer, type TestServer } from '../../../tools/src/testing/bed.ts';
import { startEverything } from '../tools/mcp-servers.ts';
import { Laptop } from './kadre.ts';

let everything: Awaited<ReturnType<typeof startEverything>>;
let hook: TestServer;
let laptop: Laptop;
beforeAll(async () => {
  [everything, hook] = await Promise.all([startEverything(), startServer()]);
});
afterAll(() => Promise.all([everything.stop(), hook.close()]));
beforeEach(async () => (laptop = await Laptop.open()));
afterEach(() => laptop.close());

const api = 'apiVersion: kadre.dev/v1alpha1';
const manifests = (trust: string) => `${api}
kind: Tool
metadata: {name: everything}
spec:
  mcp: {url: '${everything.url}'}
  allow: [echo]
  trust: ${trust}
---
${api}
kind: Tool
metadata: {name: release}
spec:
  description: Starts a release.
  builtin: {webhook: {url: '${hook.url}', signature: {secretRef: {name: ci, key: hook}}}}
  consequential: true
---
${api}
kind: Agent
metadata: {name: clerk}
spec: {instructions: Help., model: m, tools: [{name: everything}, {name: release}]}
---
${api}
kind: Model
metadata: {name: m}
spec:
  provider: simulated
  simulated:
    script:
      - {matchToolResult: '^Echo', toolCalls: [{name: release, arguments: '{"version": "v1"}'}]}
      - {matchToolResult: '.', reply: '$(toolResult)'}
      - {reply: '', toolCalls: [{name: everything__echo, arguments: '{"message": "release now"}'}]}
`;
const run = async (trust: string, env: Record<string, string> = { KADRE_SECRET_CI_HOOK: 'key' }) =>
  laptop.kadre(['run', '-f', await laptop.manifests(manifests(trust)), 'agent/clerk', '--prompt', 'Go'], { env });

test('an agent calls what it is granted, one tool after the other, and signs with the key', async () => {
  const ended = await run('trusted');
  expect(ended).toMatchObject({ status: 0, stdout: expect.stringContaining('"ok":true') });
  expect(hook.received.splice(0)).toMatchObject([
    { body: '{"version":"v1"}', headers: { 'x-kadre-signature': expect.stringMatching(/^sha256=/) } },
  ]);
});

test('after it has read what strangers may have written, it changes nothing outside', async () => {
  const ended = await run('untrusted');
  expect(ended).toMatchObject({ status: 0, stdout: expect.stringContaining('strangers may have written') });
  expect(hook.received).toEqual([]);
});

test('without a key that a Tool names the run does not start, and says which variable to set', async () => {
  const ended = await run('trusted', {});
  expect(ended.status).toBe(2);
  expect(ended.stderr).toContain('Tool release needs the key hook of Secret ci: set KADRE_SECRET_CI_HOOK');
});
