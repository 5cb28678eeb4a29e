// From the command line to a run that can start: a new one, one that goes on, or one that begins with what another recorded.
import { randomBytes, randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { knowledgeSecrets, toolSecret } from '@kadre/crds';
import { schemaProblem } from '@kadre/engine';
import { openSqliteStore, type Fork } from '@kadre/store';
import { UsageError } from '../errors.ts';
import { makeFolder, openFolder, type ForkedLog, type RunFolder, type RunRecord } from '../history/folders.ts';
import { catalogOf, findSecret, type Catalog } from '../manifests/catalog.ts';
import { readDocuments } from '../manifests/documents.ts';
import { problemLine } from '../manifests/manifest.ts';
import type { RunOptions } from '../options.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { pair, readInput, readLimits, strictJson } from './input.ts';
import { pin, type Pinned } from './pin.ts';
import { keyOf, knowledgeKeyOf, secretData, toolKeyOf, type Environment } from './secrets.ts';
import { findTarget } from './target.ts';

export interface Prepared {
  folder: RunFolder;
  record: RunRecord;
  secret: (name: string) => Record<string, string> | undefined;
}

export interface Surroundings {
  /** The folder of all runs. */
  history: string;
  env: Environment;
  terminal: Terminal;
}

export async function prepareNew(
  target: string | undefined,
  options: RunOptions,
  around: Surroundings,
): Promise<Prepared> {
  if (options.file.length === 0) throw new UsageError('say where the manifests are: kadre run -f FILE_OR_FOLDER …');
  const { catalog, pinned, title } = await fromManifests(target, options, around);
  return begin(pinned, title, options, around, catalog);
}

/** Goes on with the manifests that it was started with; Secrets are looked up anew. */
export async function prepareResumed(
  name: string,
  options: RunOptions,
  { history, env }: Surroundings,
): Promise<Prepared> {
  const { folder, record } = await openFolder(history, name);
  if (record.finishedAt !== undefined) {
    throw new UsageError(
      `the run ${name} is over (${record.phase ?? ''}): look at it with kadre show ${name}, or do a part of it anew with kadre run --fork ${name} --from STEP`,
    );
  }
  const sources = options.file.length > 0 ? options.file : record.sources;
  const secret = secretsFrom(await quietCatalog(sources, record.pinned.namespace), record.pinned, env);
  return { folder, record, secret };
}

export async function prepareFork(
  { name, target }: { name: string; target?: string | undefined },
  options: RunOptions,
  around: Surroundings,
): Promise<Prepared> {
  const { folder, record } = await openFolder(around.history, name);
  const log = await readLog(folder, record);
  const { prompt, ...manifests } = options;
  if (prompt !== undefined && options.from === undefined)
    throw new UsageError('--prompt replaces the prompt of one step: name it with --from STEP');
  const base = record.pinned;
  const fork = {
    run: record.uid,
    ...(options.from !== undefined && { from: options.from }),
    ...(prompt !== undefined && { prompt }),
  };
  if (options.file.length === 0) {
    const input = await inputOf(base.workflow, options, base.input, around.terminal);
    const limits = readLimits(options.limits, base.limits);
    const pinned = { ...base, ...(input !== undefined && { input }), ...(limits && { limits }) };
    const catalog = await quietCatalog(record.sources, base.namespace);
    return begin(pinned, record.title, { ...options, file: record.sources }, around, catalog, {
      fork,
      log,
      served: record.served,
    });
  }
  const wanted = target ?? `workflow/${base.subject}`;
  const { catalog, pinned, title } = await fromManifests(
    wanted,
    { ...manifests, namespace: base.namespace },
    around,
    base.input,
  );
  return begin(pinned, title, options, around, catalog, { fork, log });
}

async function fromManifests(target: string | undefined, options: RunOptions, around: Surroundings, base?: unknown) {
  const { terminal, env } = around;
  const documents = await readDocuments(options.file, () => terminal.readInput());
  const catalog = catalogOf(documents, options.namespace);
  for (const problem of catalog.problems) terminal.note(`${problemLine(problem)} (passed over)`);
  const found = findTarget(catalog, {
    namespace: options.namespace,
    ...(target !== undefined && { target }),
    ...(options.prompt !== undefined && { prompt: options.prompt }),
  });
  const stubs = new Map(
    options.stub.map((text) => pair(text, '--stub')).map(([step, json]) => [step, strictJson(json, `--stub ${step}`)]),
  );
  const { pinned: bare, warnings } = pin(catalog, found, {
    stubs,
    served: servedAgents(options),
    servers: addresses(options.tool, '--tool'),
    env,
  });
  for (const warning of warnings) terminal.note(`warning: ${warning}`);
  const input = await inputOf(bare.workflow, options, bare.input ?? base, terminal);
  const limits = readLimits(options.limits, bare.limits);
  const pinned: Pinned = { ...bare, ...(input !== undefined && { input }), ...(limits && { limits }) };
  return { catalog, pinned, title: target ?? found.subject };
}

async function inputOf(
  workflow: Pinned['workflow'],
  options: RunOptions,
  base: unknown,
  terminal: Terminal,
): Promise<unknown> {
  const schema = workflow.input?.schema;
  const input = await readInput(options, base, schema, () => terminal.readInput());
  const problem = schema && schemaProblem(schema, input ?? null, 'the input');
  if (problem === undefined) return input;
  throw new UsageError(`${problem}: give it with --input name=value or --input-file FILE`);
}

interface Forked {
  fork: Fork;
  log: ForkedLog;
  served?: Record<string, string>;
}

async function begin(
  pinned: Pinned,
  title: string,
  options: RunOptions,
  { history, env }: Surroundings,
  catalog: Catalog,
  forked?: Forked,
): Promise<Prepared> {
  const name = options.name ?? `${pinned.subject.slice(0, 50)}-${randomBytes(3).toString('hex')}`;
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    throw new UsageError(`--name ${name}: a name holds at most 63 of a-z, 0-9 and -`);
  const record: RunRecord = {
    name,
    uid: randomUUID(),
    title,
    createdAt: new Date().toISOString(),
    pinned,
    sources: options.file.map((source) => (source === '-' ? source : resolve(source))),
    served: { ...forked?.served, ...Object.fromEntries(servedAgents(options)) },
    ...(forked && { fork: forked.fork }),
  };
  const folder = await makeFolder(history, record, forked?.log);
  return { folder, record, secret: secretsFrom(catalog, pinned, env) };
}

/** The log of a run as far as it has come, be it at work or not. */
export async function readLog(folder: RunFolder, { name, uid }: RunRecord): Promise<ForkedLog> {
  const store = openSqliteStore(folder.store);
  try {
    const submission = await store.submission(uid);
    if (!submission) throw new UsageError(`the run ${name} never began: there is nothing to take over`);
    return { submission, events: await store.events(uid) };
  } finally {
    await store.close();
  }
}

const servedAgents = ({ agent }: RunOptions): Map<string, string> => addresses(agent, '--agent');

function addresses(given: string[], option: '--agent' | '--tool'): Map<string, string> {
  return new Map(
    given.map((text) => {
      const [name, url] = pair(text, option);
      if (!URL.canParse(url) || !/^https?:/.test(url))
        throw new UsageError(`${option} ${text}: write ${option} ${name}=http://localhost:8080`);
      return [name, url.replace(/\/+$/, '')];
    }),
  );
}

/** Read for its Secrets alone: files may be gone or wrong by now. */
async function quietCatalog(sources: readonly string[], namespace: string): Promise<Catalog> {
  const files = sources.filter((source) => source !== '-');
  return catalogOf(await readDocuments(files, () => Promise.resolve('')).catch(() => []), namespace);
}

function secretsFrom(
  catalog: Catalog,
  { namespace, models, tools = [], knowledge = [] }: Pinned,
  env: Environment,
): Prepared['secret'] {
  const given = (name: string) => findSecret(catalog, namespace, name)?.data;
  const keys = [
    ...models.map((model) => ({ ref: model.spec.auth?.secretRef, value: keyOf(model, given, env) })),
    ...tools.map((tool) => ({ ref: toolSecret(tool.spec), value: toolKeyOf(tool, given, env) })),
    ...knowledge
      .flatMap(({ object }) => knowledgeSecrets(object.spec))
      .map(({ ref }) => ({ ref, value: knowledgeKeyOf(ref, given, env) })),
  ];
  return (name) => secretData(keys, name);
}
