// Bundles the programs that the images start, each into a folder of its own under dist/, with the licences of all that is
// in it. What a program imports lazily
// stays in files of its own, so that a provider's SDK is read only when a model of that provider is called.
import { chmod, cp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { thirdPartyLicenses } from './image/licenses.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

export const programs = {
  kadre: 'cli/src/main.ts',
  'agent-runtime': 'agent-runtime/src/main.ts',
} as const;
export type Program = keyof typeof programs;

/** Some dependencies are CommonJS and call `require` for Node's own modules, which an ES module does not have. */
const BANNER =
  "import{createRequire as kadreCreateRequire}from'node:module';const require=kadreCreateRequire(import.meta.url);";

/**
 * Bundles `entry` as `main.js` into `outdir`, with all other files beside it: a worker thread may run `main.js` again by
 * its URL. There are no source maps: they would double the image, and names survive minification.
 *
 * @throws if the entry does not exist or does not bundle
 */
export async function bundle(entry: string, outdir: string): Promise<void> {
  await rm(outdir, { recursive: true, force: true });
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: { main: entry },
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: '[name]-[hash]',
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    keepNames: true,
    legalComments: 'none',
    banner: { js: BANNER },
    define: { 'process.env.NODE_ENV': '"production"' },
    // Optional native accelerators, which their users do without where they are absent.
    external: ['bufferutil', 'utf-8-validate'],
    logLevel: 'error',
    metafile: true,
  });
  // What runs in a sandbox is Python, which no bundler takes along.
  if ('sandbox/src/laptop.ts' in result.metafile.inputs) await copyRunner(join(outdir, 'sandbox-runner'));
  await writeFile(join(outdir, 'package.json'), '{"type":"module"}\n');
  await writeFile(
    join(outdir, 'THIRD-PARTY-LICENSES.txt'),
    await thirdPartyLicenses(ROOT, Object.keys(result.metafile.inputs)),
  );
}

async function copyRunner(folder: string): Promise<void> {
  const filter = (path: string) => !path.includes('__pycache__');
  await cp(join(ROOT, 'sandbox', 'runner'), folder, { recursive: true, filter });
}

/** Of all programs, or of those that are named. */
async function main(names: string[]): Promise<void> {
  for (const [program, entry] of Object.entries(programs)) {
    if (names.length > 0 && !names.includes(program)) continue;
    const outdir = join(ROOT, 'dist', program);
    await bundle(entry, outdir);
    await chmod(join(outdir, 'main.js'), 0o755);
    const { size } = await stat(join(outdir, 'main.js'));
    console.log(`dist/${program}/main.js  ${Math.ceil(size / 1024)} kB`);
  }
}

if (import.meta.main) {
  await main(process.argv.slice(2)).catch(() => {
    // esbuild has said what is wrong.
    process.exitCode = 1;
  });
}
