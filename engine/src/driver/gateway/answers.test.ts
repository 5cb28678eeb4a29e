import { describe, expect, test } from '@jest/globals';
import type { ToolResult } from '@kadre/crds';
import { codeOutcome, toolOutcome } from './answers.ts';

const text = (said: string) => ({ type: 'text' as const, text: said });
const image = { type: 'image' as const, data: 'AAAA', mediaType: 'image/png' };
const answer = (more: Partial<ToolResult>): ToolResult => ({ content: [], isError: false, trust: 'trusted', ...more });

describe('of what a tool answers the output is', () => {
  test.each<[string, Partial<ToolResult>, unknown]>([
    ['its data', { structured: { n: 1 }, content: [] }, { n: 1 }],
    ['its data, even if that is nothing', { structured: null }, null],
    ['the object that its text is', { content: [text(' {"n": 1}')] }, { n: 1 }],
    ['the list that its text is', { content: [text('[1, 2]')] }, [1, 2]],
    ['its text', { content: [text('fine')] }, 'fine'],
    ['a text that looks like a number, as it stands', { content: [text('1.10')] }, '1.10'],
    ['a text that begins like JSON, as it stands', { content: [text('[draft] fine')] }, '[draft] fine'],
    ['all its texts', { content: [text('a'), text('b')] }, 'a\nb'],
    ['nothing but an empty text, if it is silent', {}, ''],
    [
      'its images beside its text',
      { content: [text('a chart'), image] },
      { text: 'a chart', images: [{ data: 'AAAA', mediaType: 'image/png' }] },
    ],
  ])('%s', (_, result, output) => {
    expect(toolOutcome(answer(result))).toMatchObject({ output });
  });

  test.each<[string, unknown, object]>([
    [
      'why it was refused',
      answer({ isError: true, reason: 'ToolRefused', content: [text('not that')] }),
      { reason: 'ToolRefused', message: 'not that' },
    ],
    ['that it failed, if it does not say why', answer({ isError: true }), { reason: 'ToolFailed' }],
    ['that the answer is none', { content: 'fine' }, { reason: 'InternalError' }],
    ['that it is too large', answer({ structured: 'x'.repeat(5_000_000) }), { reason: 'InvalidOutput' }],
  ])('or the step fails, and says %s', (_, result, failure) => {
    expect(toolOutcome(result)).toMatchObject({ failure });
  });
});

const end = { exitCode: 0, stdout: '', stderr: '', files: [] };

describe('of a program the output is', () => {
  test.each<[string, object, string[], unknown]>([
    ['what it wrote as its output', { output: { n: 1 }, stdout: 'x\n' }, [], { result: { n: 1 }, stdout: 'x\n' }],
    ['null, if it wrote that', { output: null, stdout: 'x' }, [], { result: null }],
    ['what it printed, if it wrote nothing', { stdout: ' 42\n' }, [], { result: '42', stdout: ' 42\n' }],
    ['none of its files unless asked for', { files: [{ path: 'a', text: 'x' }] }, [], { files: {} }],
    [
      'those of its files that are asked for',
      {
        files: [
          { path: 'out/a.txt', text: 'x' },
          { path: 'out/b.png', base64: 'AAAA' },
          { path: 'out/atxt', text: 'y' },
        ],
      },
      ['*.txt', 'out/b.png', '[a-z'],
      { files: { 'out/a.txt': { text: 'x' }, 'out/b.png': { base64: 'AAAA' } } },
    ],
  ])('%s', (_, more, keep, output) => {
    expect(codeOutcome({ ...end, ...more }, keep)).toMatchObject({ output });
  });

  test.each<[string, unknown, object]>([
    [
      'with the end of what it said',
      { ...end, exitCode: 3, stderr: `${'x'.repeat(5000)}\nValueError: no\n` },
      {
        reason: 'CodeFailed',
        message: expect.stringMatching(/^the program ended with exit code 3: …x+\nValueError: no$/),
      },
    ],
    ['even without a word', { ...end, exitCode: 1 }, { message: 'the program ended with exit code 1' }],
    [
      'with the reason that it was stopped for',
      { failure: { reason: 'TimedOut', message: 'it took longer than 30 s' } },
      { reason: 'TimedOut', message: 'it took longer than 30 s' },
    ],
    ['for an answer that is none', { ...end, files: 1 }, { reason: 'InternalError' }],
  ])('or the step fails: %s', (_, result, failure) => {
    expect(codeOutcome(result, [])).toMatchObject({ failure });
  });
});
