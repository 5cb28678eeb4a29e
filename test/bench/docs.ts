import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const file = join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md');

/** Puts the report where docs/benchmarks.md has the one before, between two comments that name `what`. */
export async function intoDocs(what: string, report: string): Promise<void> {
  const [begin, end] = [`<!-- ${what}: written by make bench -->`, `<!-- ${what}: end -->`];
  const text = await readFile(file, 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md lacks the lines "${begin}" and "${end}".`);
  await writeFile(file, `${text.slice(0, from)}${begin}\n\n${report}\n\n${text.slice(to)}`);
}
