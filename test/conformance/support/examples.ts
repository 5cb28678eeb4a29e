// The examples of docs/workflows.md as cases: each fenced block of YAML with what the sentences after it say it comes to.
import { parse } from 'yaml';
import { isRecord } from '../../../engine/src/core/expression/types.ts';
import type { Act } from './act.ts';
import { documents, sorted, yaml, type Case, type Named } from './case.ts';

export interface Example {
  /** Heading and sentence. */
  title: string;
  one: Case;
  run: string;
  ending: { phase: string; output?: unknown; failure?: string };
  /** Outputs of single steps. */
  outputs: Record<string, unknown>;
}

interface Block {
  heading: string;
  info: string;
  yaml: string;
  /** What stands between this block and the next. */
  prose: string;
}

export function examplesOf(markdown: string): Example[] {
  const blocks = blocksOf(markdown);
  const shared = blocks.filter(({ info }) => info === 'manifests').flatMap((block) => documents(block.yaml));
  return blocks.filter(({ info }) => info === '').flatMap((block) => examplesIn(block, shared));
}

function blocksOf(markdown: string): Block[] {
  const parts = [...markdown.matchAll(/^## (.*)$|^```yaml ?(\w*)\n([^]*?)^```$/gm)];
  let heading = '';
  return parts.flatMap(({ index, 0: whole, 1: title, 2: info, 3: text }, i) => {
    if (title !== undefined) heading = title;
    if (text === undefined || info === undefined) return [];
    return [{ heading, info, yaml: text, prose: markdown.slice(index + whole.length, parts[i + 1]?.index) }];
  });
}

function examplesIn({ heading, yaml: text, prose }: Block, shared: Named<{ spec: unknown }>[]): Example[] {
  const acts = /<!-- acts:\n([^]*?)-->/.exec(prose)?.[1];
  const manifests = text.includes('\nkind: ') ? documents(text) : undefined;
  const found = sentences(prose.replace(/<!--[^]*?-->/g, '')).flatMap((sentence) => {
    const result = resultIn(sentence);
    if (!result) return [];
    const all = manifests ?? [workflow(value(text)), run(result.input)];
    const name = all.find(({ kind }) => kind === 'Run')?.metadata.name ?? '';
    const script: Act[] = [
      { apply: 'all' },
      ...(acts === undefined ? [] : (value(acts) as Act[]).map((act) => about(act, name))),
    ];
    const one: Case = { name: 'docs', ...sorted([...shared, ...all]), script, expected: {} };
    return [{ title: `${heading}: ${sentence}`, one, run: name, ...result }];
  });
  if (found.length === 0)
    throw new Error(`an example under "${heading}" does not say what it comes to: It gives \`…\`.`);
  return found;
}

function sentences(prose: string): string[] {
  return prose.replace(/\s+/g, ' ').split(/(?<=\.) (?=[A-Z])/);
}

function resultIn(sentence: string): (Pick<Example, 'ending' | 'outputs'> & { input: unknown }) | undefined {
  const [, what, result = ''] = /\bit (gives|fails with) `([^`]+)`/i.exec(sentence) ?? [];
  if (what === undefined) return undefined;
  const [, input] = /(?<!fails )\bwith `([^`]+)`/i.exec(sentence) ?? [];
  const outputs = [...sentence.matchAll(/, and `([^`]+)` gives `([^`]+)`/g)].map(([, step = '', output = '']) => [
    step,
    value(output),
  ]);
  return {
    input: input === undefined ? null : value(input),
    ending: what === 'gives' ? { phase: 'Succeeded', output: value(result) } : { phase: 'Failed', failure: result },
    outputs: Object.fromEntries(outputs) as Record<string, unknown>,
  };
}

function value(text: string): unknown {
  return parse(text, yaml) as unknown;
}

/** An act says which run it is about, unless there is only one. */
function about(act: Act, run: string): Act {
  const entries = Object.entries(act).map(([kind, data]: [string, unknown]) => [
    kind,
    isRecord(data) ? { run, ...data } : data,
  ]);
  return Object.fromEntries(entries) as Act;
}

const NAME = 'example';

function workflow(spec: unknown): Named<{ spec: unknown }> {
  return { apiVersion: 'kadre.dev/v1alpha1', kind: 'Workflow', metadata: { name: NAME }, spec };
}

function run(input: unknown): Named<{ spec: unknown }> {
  const spec = { workflow: { name: NAME }, input };
  return { apiVersion: 'kadre.dev/v1alpha1', kind: 'Run', metadata: { name: NAME }, spec };
}
