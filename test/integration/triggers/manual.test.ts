// What the manual and the examples show is taken as it is, and found in order by the operator.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { eventually, startMs, type Seen } from '../operator/bed.ts';
import { startTriggerBed, triggersIn, type TriggerBed } from './bed.ts';

const root = join(import.meta.dirname, '..', '..', '..');
let bed: TriggerBed;

beforeAll(async () => {
  bed = await startTriggerBed();
  await bed.startOperator();
}, startMs);
afterAll(() => bed.stop());

const documentsIn = (text: string): Seen[] => parseAllDocuments(text).map((document) => document.toJS() as Seen);

async function applied(objects: Seen[], namespace: string): Promise<Seen[]> {
  await bed.namespace(namespace);
  for (const object of objects) {
    const own = object.kind === 'Trigger' ? { metadata: { ...object.metadata, namespace } } : {};
    await bed.apply({ ...object, ...own });
  }
  return objects.filter(({ kind }) => kind === 'Trigger');
}

/** All that is missing is what the reader is to bring: the Secret and the Workflow. */
async function inOrder(triggers: Seen[], namespace: string): Promise<void> {
  const { status } = triggersIn(bed, namespace);
  for (const { metadata } of triggers) {
    const reason = await eventually(`${metadata.name} looked at`, async () => {
      const found = (await status(metadata.name))?.conditions?.find(({ type }) => type === 'Ready');
      if (found?.reason === 'Forbidden') bed.forward(60_000);
      return found && found.reason !== 'Forbidden' && found.reason;
    });
    expect(['Ready', 'SecretNotFound', 'WorkflowNotFound']).toContain(reason);
  }
}

test('the manual', async () => {
  const manual = await readFile(join(root, 'docs', 'triggers.md'), 'utf8');
  const blocks = [...manual.matchAll(/^```yaml\n([^]*?)^```$/gm)].flatMap(([, text = '']) => documentsIn(text));
  expect(blocks.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Trigger', 'ClusterRole']));
  const roles = blocks.filter(({ kind }) => kind !== 'Trigger');
  await applied(roles, 'manual');
  await inOrder(await applied(blocks, 'manual'), 'manual');
});

test('the examples', async () => {
  const folder = join(root, 'examples', 'triggers');
  const files = await readdir(folder);
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  const triggers = await applied(texts.flatMap(documentsIn), 'examples');
  expect(triggers).toHaveLength(3);
  await inOrder(triggers, 'examples');
});
