import { describe, expect, test } from '@jest/globals';
import type { ModelRequest } from '../conversation/request.ts';
import type { ChatCall } from '../pipeline/call.ts';
import { pathByHeuristic } from './facts.ts';
import { pathByRule, ruleProblem } from './rule.ts';

function call(prompt: string, more: Partial<ModelRequest> = {}): ChatCall {
  const messages: ModelRequest['messages'] = [
    { role: 'system', parts: [{ type: 'text', text: 'Be kind.' }] },
    { role: 'user', parts: [{ type: 'text', text: prompt }] },
  ];
  return {
    request: { model: 'm', messages, sampling: {}, ...more },
    streamed: false,
    caller: { namespace: 'n', agent: 'a', serviceAccount: 's', uid: 'u' },
  } as unknown as ChatCall;
}
const tools = [{ name: 'shell' }, { name: 'search' }];
const schema = { output: { type: 'schema', name: 'x', schema: {} } } as const;

describe('a rule', () => {
  test.each<[string, ChatCall, string]>([
    [`prompt.contains('proof') ? 'reliability' : 'speed'`, call('a proof'), 'reliability'],
    [`prompt.matches('(?i)^HELLO') ? 'speed' : 'quality'`, call('hello'), 'speed'],
    [`inputTokens > 100 ? 'quality' : 'speed'`, call('x'.repeat(1000)), 'quality'],
    [`tools.exists(t, t == 'shell') ? 'reliability' : 'speed'`, call('x', { tools }), 'reliability'],
    [`tools.exists(t, t.matches('^sh')) ? 'reliability' : 'speed'`, call('x', { tools }), 'reliability'],
    [`size(tools) == 0 && messages == 2 && images == 0 ? 'speed' : 'quality'`, call('x'), 'speed'],
    [`structured || reasoning == 'high' ? 'quality' : 'speed'`, call('x', schema), 'quality'],
    [
      `instructions.startsWith('Be') && agent == 'a' && step == '' && !streamed ? 'speed' : 'quality'`,
      call('x'),
      'speed',
    ],
  ])('%s', (rule, asked, path) => {
    expect(ruleProblem(rule)).toBeUndefined();
    expect(pathByRule(rule, asked)).toBe(path);
  });

  test.each([
    ['promt', 'Unknown variable: promt'],
    ['inputTokens', 'it gives int, not a string'],
    ['1 +', 'Unexpected token: EOF'],
    [`cel.bind(a, prompt + prompt, a + a)`, 'bind is not for rules'],
    [`prompt.split('').size() > 3 ? 'speed' : 'quality'`, 'split is not for rules'],
    [`tools.exists(t, prompt.matches(t)) ? 'speed' : 'quality'`, 'within a walk'],
    [`tools.all(a, tools.all(b, a == b)) ? 'speed' : 'quality'`, 'all cannot stand within another walk through a list'],
    [`${'('.repeat(60)}'speed'${')'.repeat(60)}`, 'maxDepth'],
  ])('is refused before it runs: %s', (rule, problem) => {
    expect(ruleProblem(rule)).toContain(problem);
  });

  test.each([
    [`tools[2] == 'x' ? 'speed' : 'quality'`, /index out of bounds/],
    [`prompt.matches('(') ? 'speed' : 'quality'`, /the pattern \( cannot be used/],
    [`prompt`, /it gave "hello", which is none of speed, quality, reliability/],
  ])('that fails on what it meets says why: %s', (rule, problem) => {
    expect(() => pathByRule(rule, call('hello'))).toThrow(problem);
  });

  test('takes no longer for a pattern that other engines would never come to an end with', () => {
    expect(pathByRule(`prompt.matches('^(a+)+$') ? 'speed' : 'quality'`, call(`${'a'.repeat(30_000)}!`))).toBe(
      'quality',
    );
  });
});

test.each<[string, ChatCall, string]>([
  ['a short question', call('hello'), 'speed'],
  ['a long one', call('x'.repeat(4000)), 'quality'],
  ['one with tools', call('x', { tools }), 'quality'],
  ['one with tools and a format', call('x', { tools, ...schema }), 'reliability'],
  ['one with a format', call('x', schema), 'quality'],
  ['one that wants thought', call('x', { reasoning: { effort: 'high' } }), 'reliability'],
  ['one that wants none', call('x'.repeat(4000), { reasoning: { effort: 'minimal' } }), 'speed'],
])('by its looks, %s', (_, asked, path) => {
  expect(pathByHeuristic(asked).path).toBe(path);
});
