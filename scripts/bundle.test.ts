import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { bundle, ROOT } from './bundle.ts';

const run = promisify(execFile);

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'kadre-bundle-'))));
afterEach(async () => rm(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(join(folder, name), text);

describe('a bundled program', () => {
  test('starts its own file again in a worker thread, which loads its part lazily', async () => {
    await write('role.ts', "export const role: string = 'the engine';");
    await write(
      'main.ts',
      `import { isMainThread, Worker } from 'node:worker_threads';
       if (isMainThread) new Worker(new URL(import.meta.url));
       else console.log('this is', (await import('./role.ts')).role);`,
    );
    await bundle(join(folder, 'main.ts'), join(folder, 'out'));
    expect(await readFile(join(folder, 'out', 'main.js'), 'utf8')).not.toContain('the engine');
    const { stdout } = await run(process.execPath, [join(folder, 'out', 'main.js')]);
    expect(stdout).toBe('this is the engine\n');
  });

  test('carries CommonJS code that asks for modules of Node', async () => {
    await write('old.cjs', "module.exports = { home: () => require('os').EOL.length > 0 };");
    await write('main.ts', "import old from './old.cjs'; console.log(old.home());");
    await bundle(join(folder, 'main.ts'), join(folder, 'out'));
    const { stdout, stderr } = await run(process.execPath, [join(folder, 'out', 'main.js')]);
    expect([stdout, stderr]).toEqual(['true\n', '']);
  });

  test('that runs code on a laptop has the runner beside it', async () => {
    await write(
      'main.ts',
      `export { createLaptopSandbox } from ${JSON.stringify(join(ROOT, 'sandbox/src/index.ts'))};`,
    );
    await bundle(join(folder, 'main.ts'), join(folder, 'out'));
    expect(await readdir(join(folder, 'out', 'sandbox-runner'))).toContain('__main__.py');
  });

  test('leaves nothing of an older bundle behind', async () => {
    await write('main.ts', "await import('./lazy.ts');");
    await write('lazy.ts', "console.log('one');");
    await bundle(join(folder, 'main.ts'), join(folder, 'out'));
    const before = await readdir(join(folder, 'out'));
    await write('lazy.ts', "console.log('two');");
    await bundle(join(folder, 'main.ts'), join(folder, 'out'));
    const after = await readdir(join(folder, 'out'));
    expect(after).toHaveLength(before.length);
    expect(after).not.toEqual(before);
  });
});
