import { describe, expect, test } from '@jest/globals';
import type { WorkflowStatus } from '@kadre/crds';
import { workflow } from '../build/samples.ts';
import { decideWorkflow } from './decide.ts';
import type { WorkflowSnapshot } from './observe.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const subject = workflow([
  { name: 'a', agent: { name: 'writer', prompt: 'Go' } },
  { name: 'b', steps: [{ name: 'c', container: { image: 'busybox' } }] },
]);
const none = { agents: [], tools: [], workflows: [], pools: [] };
const issue = (n: number) => ({ path: `spec.steps[${n}].when`, message: 'unknown variable' });

describe('a Workflow', () => {
  test.each<[string, Partial<WorkflowSnapshot>, string, RegExp]>([
    ['can be run', {}, 'Valid', /can be run/],
    [
      'names what is wrong with it',
      { issues: [issue(0)] },
      'InvalidExpression',
      /^spec\.steps\[0\]\.when: unknown variable$/,
    ],
    [
      'keeps a long list of faults short',
      { issues: Array.from({ length: 12 }, (_, n) => issue(n)) },
      'InvalidExpression',
      /and 2 more$/,
    ],
    [
      'names absent agents',
      { missing: { ...none, agents: ['writer', 'critic'] } },
      'AgentNotFound',
      /Agent writer, Agent critic/,
    ],
    ['names absent tools', { missing: { ...none, tools: ['search'] } }, 'ToolNotFound', /Tool search/],
    ['names absent workflows', { missing: { ...none, workflows: ['other'] } }, 'WorkflowNotFound', /Workflow other/],
    ['names absent pools', { missing: { ...none, pools: ['a100'] } }, 'GpuPoolNotFound', /GpuPool a100/],
  ])('%s', (_, more, reason, message) => {
    const { status } = decideWorkflow({ workflow: subject, issues: [], missing: none, ...more }, now);
    const { steps, conditions } = status as WorkflowStatus;
    expect(steps).toBe(3);
    expect(conditions?.[0]).toMatchObject({ type: 'Ready', reason });
    expect(conditions?.[0]?.message).toMatch(message);
    expect(conditions?.[2]?.status).toBe(reason === 'Valid' ? 'False' : 'True');
  });
});
