// `kadre mcp`: what a folder of manifests offers, to a client that has started this program.
import { labels } from '@kadre/crds';
import { serveMcpOverStdio } from '@kadre/server';
import { once } from 'node:events';
import { exits, UsageError } from '../errors.ts';
import { catalogOf, find, namesOf, type Catalog } from '../manifests/catalog.ts';
import { readDocuments } from '../manifests/documents.ts';
import { problemLine } from '../manifests/manifest.ts';
import type { McpOptions } from '../options.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { createCalls } from './calls.ts';

export async function mcp(options: McpOptions, terminal: Terminal): Promise<number> {
  const { file, namespace } = options;
  if (file.includes('-')) throw new UsageError('standard input is the client: name files or folders with -f');
  const catalog = catalogOf(await readDocuments(file, () => Promise.resolve('')), namespace);
  if (catalog.problems.length > 0) throw new UsageError(catalog.problems.map(problemLine).join('\n'));
  const [workflows, agents] = [offered(catalog, 'Workflow', namespace), offered(catalog, 'Agent', namespace)];
  if (workflows.length + agents.length === 0)
    throw new UsageError(
      `nothing is offered in namespace ${namespace}: give a Workflow or an Agent the label ${labels.offer}: mcp`,
    );
  const calls = createCalls(options);
  const gone = Promise.race(
    ['end', 'close']
      .map((event) => once(process.stdin, event))
      .concat(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal))),
  );
  const lists = { workflows: { list: () => workflows }, agents: { list: () => agents } };
  const server = await serveMcpOverStdio({ offered: lists, namespace, run: calls.run });
  terminal.note(`${workflows.length + agents.length} offered in namespace ${namespace}.`);
  await gone;
  await server.close();
  await calls.stop();
  return exits.succeeded;
}

function offered<K extends 'Workflow' | 'Agent'>(catalog: Catalog, kind: K, namespace: string) {
  return namesOf(catalog, kind, namespace).flatMap((name) => {
    const object = find(catalog, kind, namespace, name)?.object;
    return object?.metadata.labels?.[labels.offer] === 'mcp' ? [object] : [];
  });
}
