// Pages of the manual, word for word: each command of their boxes, in order, with what it prints; and their manifests.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Laptop, ROOT } from './kadre.ts';

const pages = ['docs/laptop.md', 'docs/tools.md', 'docs/knowledge.md', 'docs/mcp.md'];
const textOf = (page: string): string => readFileSync(join(ROOT, page), 'utf8');
const boxesIn = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, box = '']) => box);
const commandsIn = (text: string): [string, string][] =>
  boxesIn(text, 'console').flatMap((box) =>
    box
      .split(/^\$ /m)
      .slice(1)
      .map((said): [string, string] => [said.slice(0, said.indexOf('\n')), said.slice(said.indexOf('\n') + 1)]),
  );

describe.each(pages)('%s', (page) => {
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

  const said = (command: string): Promise<string> => {
    const env = { HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}` };
    return new Promise((resolve) => {
      execFile('/bin/sh', ['-c', command], { cwd: ROOT, env }, (_, stdout, stderr) => resolve(stdout + stderr));
    });
  };

  test.each(commandsIn(textOf(page)))('is right about %s', async (command, printed) => {
    expect(await said(command)).toBe(printed);
  });
});

test.each(pages.filter((page) => boxesIn(textOf(page), 'yaml').length > 0))(
  '%s shows manifests that are right',
  async (page) => {
    const laptop = await Laptop.open();
    const input = boxesIn(textOf(page), 'yaml').join('---\n');
    const { stderr } = await laptop.kadre(['validate', '-f', '-', '--allow-missing'], { input });
    await laptop.close();
    expect(stderr).toContain(': 0 errors');
  },
);
