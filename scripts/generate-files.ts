// What follows from the kinds: CRD manifests and reference pages.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { customResourceDefinition, kinds } from '@kadre/crds';
import { stringify } from 'yaml';
import { referenceIndex, referencePage } from './generate-reference.ts';

const MANIFESTS = 'crds/manifests';
const REFERENCE = 'docs/api';

/** The generated files: path from the root of the repository -> content. */
export function generated(): Map<string, string> {
  const files = new Map<string, string>();
  for (const kind of Object.values(kinds)) {
    files.set(`${MANIFESTS}/${kind.plural}.yaml`, manifest(customResourceDefinition(kind)));
    files.set(`${REFERENCE}/${kind.singular}.md`, referencePage(kind));
  }
  return files.set(`${REFERENCE}/README.md`, referenceIndex(Object.values(kinds)));
}

function manifest(object: object): string {
  const yaml = stringify(object, { lineWidth: 0, aliasDuplicateObjects: false });
  return `# Generated from crds/src by \`npm run generate\`; edit the sources instead.\n${yaml}`;
}

/** Paths whose content differs from what would be generated, and files in these folders that nothing generates. */
export async function drift(root: string): Promise<string[]> {
  const files = generated();
  const wrong: string[] = [];
  for (const [path, content] of files) {
    const found = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (found !== content) wrong.push(path);
  }
  for (const folder of [MANIFESTS, REFERENCE]) {
    const found = await readdir(join(root, folder)).catch(() => []);
    wrong.push(...found.map((name) => `${folder}/${name}`).filter((path) => !files.has(path)));
  }
  return wrong;
}

export async function write(root: string): Promise<void> {
  for (const [path, content] of generated()) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}
