// A folder of the suite: manifests, Runs, what happens from outside, and what must come of it.
import type { Agent, Model, Run, Tool, Workflow } from '@kadre/crds';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import type { Act } from './act.ts';

export interface Case {
  /** Such as 09-race. */
  name: string;
  workflows: Named<Workflow>[];
  agents: Named<Agent>[];
  models: Named<Model>[];
  tools: Named<Tool>[];
  runs: Named<Run>[];
  script: Act[];
  /** By the name of the Run. */
  expected: Record<string, Expected>;
}

/** What stands in a manifest; the rest is the API server's. */
export interface Named<Kind extends { spec: unknown }> {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec: Kind['spec'];
}

export interface Expected {
  phase: string;
  /** The reason. */
  failure?: string;
  /** Part of the message. */
  message?: string;
  output?: unknown;
  /** Outputs of single steps, by id: those of `finally` show nowhere else. */
  outputs?: Record<string, unknown>;
  /** What happened to the run as a whole, in order. */
  run: string[];
  /** What happened to each step, in order, by id. Absent: any number of steps is fine. */
  steps?: Record<string, string[]>;
}

const CASES = join(import.meta.dirname, '..');

/** Of a case. */
export function folderOf(name: string): string {
  return join(CASES, name);
}

export function readCases(): Case[] {
  const names = readdirSync(CASES).filter((name) => /^\d\d-/.test(name));
  return names.map((name) => readCase(name));
}

function readCase(name: string): Case {
  const read = (file: string): string => readFileSync(join(folderOf(name), file), 'utf8');
  const manifests = [...documents(read('workflow.yaml')), ...documents(read('run.yaml'))];
  const script = existsSync(join(folderOf(name), 'script.yaml'))
    ? (parse(read('script.yaml'), yaml) as Act[])
    : undefined;
  return {
    name,
    ...sorted(manifests),
    script: script ?? [{ apply: 'all' }],
    expected: parse(read('expected.yaml'), yaml) as Case['expected'],
  };
}

/** As kubectl reads it. */
export const yaml = { version: '1.1' } as const;

export function documents(text: string): Named<{ spec: unknown }>[] {
  return parseAllDocuments(text, yaml).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as Named<{ spec: unknown }>;
  });
}

type Manifests = Pick<Case, 'workflows' | 'agents' | 'models' | 'tools' | 'runs'>;

export function sorted(manifests: Named<{ spec: unknown }>[]): Manifests {
  const of = <Kind extends { spec: unknown }>(kind: string) =>
    manifests.filter((manifest) => manifest.kind === kind) as Named<Kind>[];
  return { workflows: of('Workflow'), agents: of('Agent'), models: of('Model'), tools: of('Tool'), runs: of('Run') };
}
