// The Model Context Protocol's own suite, against the client by which Kadre reaches Tools. Of its scenarios for clients
// these apply: nobody is there who could be asked (elicitation), and Tools sign in with keys from Secrets (auth).
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const suite = join(import.meta.dirname, '../../node_modules/.bin/conformance');
const client = `${process.execPath} ${join(import.meta.dirname, 'support', 'mcp-client.ts')}`;

test.each(['initialize', 'tools_call', 'sse-retry'])('%s', async (scenario) => {
  const { stdout, stderr } = await run(process.execPath, [
    suite,
    'client',
    '--command',
    client,
    '--scenario',
    scenario,
  ]);
  expect(stdout + stderr).toMatch(/Passed: ([1-9]\d*)\/\1, 0 failed, 0 warnings/);
});
