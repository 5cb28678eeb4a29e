// What docs/agents.md shows is what happens.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRuntime, type Runtime } from '@kadre/agent-runtime';
import { agentConfigOf, conversationRoom, kinds, type Agent, type Model, type Tool } from '@kadre/crds';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pino from 'pino';
import { parseAllDocuments } from 'yaml';
import { NAMESPACE, researcher, startBed, type Bed } from '../gateway/bed.ts';

const run = promisify(execFile);
const page = await readFile(join(import.meta.dirname, '..', '..', '..', 'docs', 'agents.md'), 'utf8');
const boxes = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);
const commands = boxes('console').flatMap((box) =>
  [...box.matchAll(/^\$ (.*)\n([^]*?)(?=^\$ |(?![^]))/gm)].map(([, command = '', printed = '']) => [command, printed]),
);

/** As the API server would give it back. */
function manifest<T extends Agent | Tool | Model>(kind: T['kind'] & keyof typeof kinds, name?: string): T {
  const objects = boxes('yaml').flatMap((box) => parseAllDocuments(box).map((one) => one.toJS() as T));
  const found = objects.find(
    (object) => object.kind === kind && (name ?? object.metadata.name) === object.metadata.name,
  );
  if (!found) throw new Error(`there is no ${kind}`);
  const metadata = { ...found.metadata, namespace: NAMESPACE, uid: `uid-${kind}`, generation: 1 };
  return { ...found, metadata, spec: kinds[kind].spec.parse(found.spec) };
}

let bed: Bed;
let weather: Server;
const runtimes: Runtime[] = [];
let addresses: Record<string, string>;

/** Where the Agent of the page answers. */
async function serve({ metadata: { name }, spec }: Agent): Promise<string> {
  bed.tokens.set(name, { ...researcher, serviceAccount: `agent-${name}` });
  const runtime = await createRuntime(
    { agent: agentConfigOf(name, NAMESPACE, spec), gatewayUrl: bed.url },
    { token: () => Promise.resolve(name), logger: pino({ level: 'silent' }) },
  );
  runtimes.push(runtime);
  return runtime.listen({ host: '127.0.0.1', port: 0 });
}

beforeAll(async () => {
  weather = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'text/plain' }).end('rain'));
  }).listen(0, '127.0.0.1');
  await once(weather, 'listening');
  const forecaster = manifest<Agent>('Agent');
  const companion = manifest<Agent>('Agent', 'companion');
  const [editor, author] = [manifest<Agent>('Agent', 'editor'), manifest<Agent>('Agent', 'author')];
  const tool = manifest<Tool>('Tool');
  const address = `http://127.0.0.1:${(weather.address() as AddressInfo).port}/now`;
  const near = { ...tool, spec: { ...tool.spec, http: { ...tool.spec.http, url: address } } } as Tool;
  bed = await startBed({
    tools: { grants: () => forecaster.spec.tools ?? [], get: () => near },
    memory: { ofAgent: (_, agent) => (agent === 'companion' ? conversationRoom(companion.spec) : undefined) },
    agents: {
      grants: (_, agent) => (agent === 'editor' ? (editor.spec.agents ?? []) : []),
      spec: (_, name) => (name === 'author' ? author.spec : undefined),
      resolve: (_, name) => ({ found: name === 'author', serving: name === 'author', url: addresses['AUTHOR'] ?? '' }),
    },
  });
  bed.model('smart', manifest<Model>('Model').spec);
  bed.model('listener', manifest<Model>('Model', 'listener').spec);
  for (const name of ['editor', 'author']) bed.model(name, manifest<Model>('Model', name).spec);
  addresses = {
    ...{ AGENT: await serve(forecaster), COMPANION: await serve(companion) },
    ...{ EDITOR: await serve(editor), AUTHOR: await serve(author) },
  };
});
afterAll(async () => {
  await Promise.all(runtimes.map((runtime) => runtime.shutdown(0)));
  await bed.close();
  weather.closeAllConnections();
  weather.close();
});

test('it shows some commands', () => expect(commands).toHaveLength(8));

test.each(commands)('%s', async (command, printed) => {
  const { stdout } = await run('bash', ['-c', command], { env: { PATH: process.env['PATH'], ...addresses } });
  expect(stdout.trim()).toBe(printed.trim());
});

test('its limits are the ones that hold unless an Agent says otherwise', () => {
  const { limits } = agentConfigOf('a', NAMESPACE, { instructions: 'x', model: 'm' });
  const row = (name: string): string => page.split('\n').find((line) => line.startsWith(`| \`limits.${name}\``)) ?? '';
  expect(limits).toEqual({ turns: 16, durationMs: 600_000, contextCharacters: 400_000 });
  for (const [name, value] of [
    ['turns', '16'],
    ['duration', '10m'],
    ['contextCharacters', '400000'],
  ] as const)
    expect(row(name)).toContain(`| ${value} `);
});
