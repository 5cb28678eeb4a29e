import { build } from 'esbuild';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Bundles the process as in the image, but fast; returns the file to run. */
export async function bundleRuntime(folder: string): Promise<string> {
  await build({
    entryPoints: [fileURLToPath(new URL('../main.ts', import.meta.url))],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
  return join(folder, 'main.mjs');
}
