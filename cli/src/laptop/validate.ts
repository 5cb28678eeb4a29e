// `kadre validate`: what the API server and the operator would refuse, said before anything is applied.
import { exits } from './errors.ts';
import { catalogOf } from './manifests/catalog.ts';
import { checkCatalog } from './manifests/check.ts';
import { readDocuments } from './manifests/documents.ts';
import { problemLine } from './manifests/manifest.ts';
import type { Terminal } from './terminal/terminal.ts';

export interface ValidateOptions {
  file: string[];
  namespace: string;
  output: 'text' | 'json';
  /** Names of objects that are not among the manifests are warnings. */
  allowMissing?: boolean;
  quiet?: boolean;
}

export async function validate(options: ValidateOptions, terminal: Terminal): Promise<number> {
  const documents = await readDocuments(options.file, () => terminal.readInput());
  const catalog = catalogOf(documents, options.namespace);
  const problems = checkCatalog(catalog, { missing: options.allowMissing === true ? 'warning' : 'error' });
  const errors = problems.filter(({ level }) => level === 'error').length;
  const checked = catalog.manifests.length;
  const others = [...catalog.skipped.values()].reduce((sum, count) => sum + count, 0);
  const skipped = others + catalog.secrets.length + catalog.configMaps.length;
  if (options.output === 'json') {
    terminal.print(JSON.stringify({ valid: errors === 0, checked, skipped, problems }, null, 2));
  } else {
    for (const problem of problems) terminal.print(problemLine(problem));
    const warnings = problems.length - errors;
    const rest = skipped > 0 ? `, ${skipped} of other kinds skipped` : '';
    if (options.quiet !== true)
      terminal.note(
        `${count(checked, 'manifest')} checked${rest}: ${count(errors, 'error')}, ${count(warnings, 'warning')}`,
      );
  }
  return errors === 0 ? exits.succeeded : exits.usage;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
