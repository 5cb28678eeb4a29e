// The licences of the packages that went into a bundle: most ask that their text goes wherever the code goes.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * @param sources the files that were bundled, relative to `root`
 * @returns for each npm package among them its name, version, licence and the text of its licence file
 */
export async function thirdPartyLicenses(root: string, sources: string[]): Promise<string> {
  const folders = new Set(sources.flatMap((source) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(source)?.[0] ?? []));
  const entries = await Promise.all([...folders].map((folder) => entryFor(join(root, folder))));
  return entries.sort().join(`\n${'='.repeat(80)}\n\n`);
}

async function entryFor(folder: string): Promise<string> {
  const meta = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const files = (await readdir(folder)).filter((name) => /^(licen[cs]e|notice|copying)/i.test(name)).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return [
    `${meta.name} ${meta.version} (${meta.license ?? 'see below'})`,
    ...texts.map((text) => text.trim()),
    '',
  ].join('\n\n');
}
