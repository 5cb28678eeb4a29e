// Everything that can be said of manifests without a cluster.
import { toolExpressions, type Model, type Tool } from '@kadre/crds';
import { validateWorkflow } from '@kadre/engine';
import { ruleProblem } from '@kadre/gateway';
import { compileRule } from '@kadre/tools';
import { duplicates, type Catalog } from './catalog.ts';
import { problemAt, type Manifest, type Problem } from './manifest.ts';
import { danglingReferences } from './references.ts';

export interface CheckOptions {
  /** How to take names of what is not among the manifests. */
  missing: Problem['level'];
}

/** In the order of the files, each problem once. */
export function checkCatalog(catalog: Catalog, options: CheckOptions): Problem[] {
  const ofManifests = catalog.manifests.flatMap((manifest) => checkManifest(catalog, manifest, options));
  return [...catalog.problems, ...ofManifests, ...duplicates(catalog)].sort(byPlace);
}

function checkManifest(catalog: Catalog, manifest: Manifest, { missing }: CheckOptions): Problem[] {
  return [...soundness(manifest), ...danglingReferences(catalog, manifest, missing)];
}

/** What is wrong with the manifest by itself. */
export function soundness(manifest: Manifest): Problem[] {
  const closer = [...workflowProblems(manifest), ...routeProblems(manifest), ...policyProblems(manifest)];
  const there = new Set(closer.map(({ path }) => path));
  // The engine looks at nested steps and expressions, and at the rest once more; of strange fields it knows more to say.
  const own = manifest.problems.filter(
    ({ path, message }) => !(there.has(path) && message.startsWith('unknown field')),
  );
  const said = new Set(own.map(({ path }) => path));
  return [...own, ...closer.filter(({ path }) => !said.has(path))];
}

function workflowProblems(manifest: Manifest): Problem[] {
  const { kind, object } = manifest;
  const { inline } = object.spec;
  const [spec, base] = kind === 'Run' ? [inline, 'spec.inline'] : [object.spec, 'spec'];
  if ((kind !== 'Workflow' && kind !== 'Run') || spec === undefined) return [];
  return validateWorkflow(spec).map(({ path, message }) => problemAt(manifest, path.replace(/^spec/, base), message));
}

function routeProblems(manifest: Manifest): Problem[] {
  if (manifest.kind !== 'Model') return [];
  const rule: unknown = (manifest.object.spec as Partial<Model['spec']>).route?.complexity?.rule;
  const problem = typeof rule === 'string' ? ruleProblem(rule) : undefined;
  if (problem === undefined) return [];
  return [problemAt(manifest, 'spec.route.complexity.rule', `cannot be used: ${problem}`)];
}

/** As the operator says them in the Tool's status. What is not even a rule is the schema's business. */
function policyProblems(manifest: Manifest): Problem[] {
  if (manifest.kind !== 'Tool') return [];
  return toolExpressions(manifest.object.spec as Partial<Tool['spec']>).flatMap(({ text, path }) => {
    const compiled = compileRule(text);
    return 'problem' in compiled ? [problemAt(manifest, path, compiled.problem)] : [];
  });
}

function byPlace(one: Problem, other: Problem): number {
  if (one.file !== other.file) return one.file < other.file ? -1 : 1;
  return one.line - other.line || one.column - other.column;
}
