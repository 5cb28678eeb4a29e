import { describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { kinds } from '@kadre/crds';
import { parseAllDocuments } from 'yaml';
import { drift, generated, write } from './generate-files.ts';

const root = dirname(import.meta.dirname);

async function inCopy(act: (copy: string) => Promise<void>): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), 'kadre-generate-'));
  try {
    await cp(join(root, 'crds/manifests'), join(copy, 'crds/manifests'), { recursive: true });
    await cp(join(root, 'docs/api'), join(copy, 'docs/api'), { recursive: true });
    await act(copy);
  } finally {
    await rm(copy, { recursive: true });
  }
}

describe('generated files', () => {
  test('are committed as they would be written', async () => {
    expect(await drift(root)).toEqual([]);
    await expect(
      promisify(execFile)(process.execPath, [join(root, 'scripts/generate.ts'), '--check']),
    ).resolves.toEqual({
      stdout: '',
      stderr: '',
    });
  });

  test('are told apart when edited, missing or left over, and mended by writing again', () =>
    inCopy(async (copy) => {
      await appendFile(join(copy, 'crds/manifests/agents.yaml'), '# edited\n');
      await rm(join(copy, 'docs/api/run.md'));
      await writeFile(join(copy, 'docs/api/gone.md'), 'left over');
      expect((await drift(copy)).sort()).toEqual(['crds/manifests/agents.yaml', 'docs/api/gone.md', 'docs/api/run.md']);
      await rm(join(copy, 'docs/api/gone.md'));
      await write(copy);
      expect(await drift(copy)).toEqual([]);
    }));

  test('hold one YAML document for each kind, without anchors', () => {
    for (const { plural } of Object.values(kinds)) {
      const yaml = generated().get(`crds/manifests/${plural}.yaml`) ?? '';
      const documents = parseAllDocuments(yaml);
      expect(documents.map((document) => document.errors)).toEqual([[]]);
      expect(yaml).not.toMatch(/^[^#]*: [&*]\w+$/m);
    }
  });

  test('document each field of the spec and each rule', () => {
    const page = generated().get('docs/api/agent.md');
    expect(page).toContain('| `spec.serving.replicas` | integer (0 to 1000) | `1` | How many pods.');
    expect(page).toContain('- `spec.serving.replicas`: autoscaling chooses the number of pods');
    expect(page).toContain('| `spec.instructions` | string (at most 32768 characters), required |');
  });
});
