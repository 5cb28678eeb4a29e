// Kadre's client of the Model Context Protocol, as the protocol's own conformance suite starts it: with the address of a
// server as its last argument. It asks what the server offers, and calls all of it.
import { createToolbox } from '@kadre/tools';
import type { Tool } from '@kadre/crds';

const url = process.argv.at(-1) ?? '';
const tool: Tool = {
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Tool',
  metadata: {
    name: 'conformance',
    namespace: 'default',
    uid: 'conformance',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { mcp: { url }, trust: 'untrusted', consequential: false },
};
const secret = () => Promise.reject(new Error('there is none'));
const { signal } = new AbortController();

const toolbox = createToolbox({ allowLoopback: true });
const { operations } = await toolbox.describe(tool, secret, signal);
for (const { name } of operations) {
  const request = { args: { a: 2, b: 3 }, idempotencyKey: 'one', signal, headers: {} };
  await toolbox.call(tool, secret, { ...request, ...(name !== undefined && { operation: name }) });
}
await toolbox.close();
