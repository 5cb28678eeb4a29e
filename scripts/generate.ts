// Writes what follows from the kinds: CRD manifests and reference pages. `--check` writes nothing and fails on drift.
import { dirname } from 'node:path';
import { drift, write } from './generate-files.ts';

const root = dirname(import.meta.dirname);
if (!process.argv.includes('--check')) await write(root);

const wrong = await drift(root);
if (wrong.length > 0) {
  console.error(`Not as \`npm run generate\` would have it:\n${wrong.map((path) => `  ${path}`).join('\n')}`);
  process.exitCode = 1;
}
