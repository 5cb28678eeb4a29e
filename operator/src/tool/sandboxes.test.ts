// What a Tool that runs code says of its sandboxes.
import { expect, test } from '@jest/globals';
import type { Condition, ToolStatus } from '@kadre/crds';
import * as sample from '../build/samples.ts';
import type { Settings } from '../build/settings.ts';
import { decideTool } from './decide.ts';
import type { ToolSnapshot } from './snapshot.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const withImage: Settings = { ...sample.settings, sandboxImage: 'kadre-sandbox:1' };
const described = { operations: [{ description: 'Runs code.', inputSchema: {} }] };

function decide(sandboxes: ToolSnapshot['sandboxes'], settings = withImage) {
  const code = { languages: ['python' as const], warm: 2, memory: '256Mi', cpu: '500m' };
  const tool = sample.tool({ trust: 'untrusted', consequential: false, builtin: { code } });
  const { uid, generation } = tool.metadata;
  const look = { at: NOW.getTime(), uid, generation, failures: 0, described };
  const server = { children: [], pods: [], foreign: [] };
  const snapshot: ToolSnapshot = { tool, secret: 'unused', ruleProblems: [], server, look };
  const plan = decideTool({ ...snapshot, ...(sandboxes && { sandboxes }) }, { settings, now: NOW });
  const { conditions, warm } = plan.status as ToolStatus;
  const ready = (conditions as Condition[]).find(({ type }) => type === 'Ready');
  return { status: ready?.status, reason: ready?.reason, warm, again: plan.requeueAfter };
}

test.each<[string, ToolSnapshot['sandboxes'], ReturnType<typeof decide>]>([
  [
    'how many are ready, and looks again soon while some are missing',
    { ready: 1 },
    { status: 'True', reason: 'Ready', warm: 1, again: 3000 },
  ],
  [
    'that all are ready, and looks now and then',
    { ready: 2 },
    { status: 'True', reason: 'Ready', warm: 2, again: 15_000 },
  ],
  ['nothing, if it wants none', undefined, { status: 'True', reason: 'Ready', warm: undefined, again: undefined }],
  [
    'why they do not come about',
    { ready: 0, trouble: { reason: 'SandboxRejected', message: 'exceeded quota' } },
    { status: 'False', reason: 'SandboxRejected', warm: 0, again: 3000 },
  ],
])('says %s', (_what, sandboxes, said) => expect(decide(sandboxes)).toEqual(said));

test('cannot run code where nobody has said in which image', () => {
  expect(decide(undefined, { ...sample.settings })).toMatchObject({ status: 'False', reason: 'NoSandboxImage' });
});
