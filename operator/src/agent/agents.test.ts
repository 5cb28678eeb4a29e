import { expect, test } from '@jest/globals';
import type { Agent } from '@kadre/crds';
import { agent, serving, settings } from '../build/samples.ts';
import { agentsFact, agentsHealth } from './agents.ts';
import type { AgentSnapshot } from './observe.ts';

const other = (name: string, spec: Partial<Agent['spec']>): Agent => agent(spec, { name });
const asks = (...names: string[]) => ({ agents: names.map((name) => ({ name, handOff: false })) });
const snapshot = (spec: Partial<Agent['spec']>, others: Agent[] = []): AgentSnapshot => ({
  ...{ agent: agent(spec), settings, tools: [], knowledge: [], others, children: [], foreign: [], pods: [] },
  ...{ accountMissing: false, routes: true },
});

test.each<[string, AgentSnapshot, object | undefined, string | undefined]>([
  ['asks no others', snapshot({}), undefined, undefined],
  [
    'can ask all that it names',
    snapshot(asks('writer'), [other('writer', { serving: serving() })]),
    { status: 'True', reason: 'Ready' },
    undefined,
  ],
  [
    'names one that is not there, and waits for it',
    snapshot(asks('writer', 'editor'), [other('writer', {})]),
    { status: 'False', reason: 'AgentNotFound', message: expect.stringMatching(/^There is no Agent editor in/) },
    'stalled',
  ],
  [
    'names some that run in Jobs alone, and does without them',
    snapshot(asks('writer', 'editor'), [other('writer', {}), other('editor', {})]),
    { status: 'False', reason: 'NotServed', message: expect.stringMatching(/^Agents writer, editor cannot be asked/) },
    undefined,
  ],
])('an agent that %s', (_, subject, expected, state) => {
  const fact = agentsFact(subject);
  if (expected) expect(fact).toMatchObject({ type: 'AgentsReady', ...expected });
  else expect(fact).toBeUndefined();
  expect(agentsHealth(fact)?.state).toBe(state);
});
