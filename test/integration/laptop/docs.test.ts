// docs/laptop.md, word for word: each command of its boxes, in order, with what it prints.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './kadre.ts';

const page = readFileSync(join(ROOT, 'docs/laptop.md'), 'utf8');
const boxes = [...page.matchAll(/```console\n([^]*?)```/g)].map(([, box = '']) => box);
const commands = boxes.flatMap((box) =>
  box
    .split(/^\$ /m)
    .slice(1)
    .map((text): [string, string] => [text.slice(0, text.indexOf('\n')), text.slice(text.indexOf('\n') + 1)]),
);

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kadre-docs-'));
  await mkdir(join(home, 'bin'));
  await writeFile(
    join(home, 'bin/kadre'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'cli/src/main.ts')}' "$@"\n`,
  );
  await chmod(join(home, 'bin/kadre'), 0o755);
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe('the manual is right about', () => {
  test.each(commands)('%s', async (command, printed) => {
    const env = { HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}` };
    const said = await new Promise<string>((resolve) => {
      execFile('/bin/sh', ['-c', command], { cwd: ROOT, env }, (_, stdout, stderr) => resolve(stdout + stderr));
    });
    expect(said).toBe(printed);
  });
});
