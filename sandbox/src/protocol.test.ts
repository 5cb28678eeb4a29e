import { describe, expect, test } from '@jest/globals';
import { DEFAULT_SANDBOX_LIMITS, PROGRAM, sandboxEnd, sandboxJob } from './protocol.ts';

const job = (changes: object) => ({ language: 'python', source: '', limits: DEFAULT_SANDBOX_LIMITS, ...changes });
const named = (...paths: string[]) => job({ files: paths.map((path) => ({ path, text: '' })) });

describe('a job', () => {
  test.each([
    ['nothing but a program', job({})],
    ['an input that is null', job({ input: null })],
    ['files in folders, of any script', named('a.txt', 'b/c/d.csv', 'größe/表.txt', 'a file with spaces', '.hidden')],
    ['a file that is no text', job({ files: [{ path: 'a', base64: 'AAEC' }] })],
  ])('may have %s', (_what, given) => {
    expect(sandboxJob.safeParse(given).error).toBeUndefined();
  });

  test.each([
    ['a way up', named('../x')],
    ['a way up on the way', named('a/../b')],
    ['an absolute path', named('/etc/passwd')],
    ['no path', named('')],
    ['an empty part of a path', named('a//b')],
    ['a line break in a name', named('a\nb')],
    ['an escape sequence in a name', named('a\u001b[2Jb')],
    ['a name that reads the other way round', named('txt.\u202Egpj')],
    ['a name with what nobody sees', named('a\u200bb')],
    ['a backslash', named('a\\b')],
    ['a name that is too long', named('x'.repeat(256))],
    ['two files of one name', named('a', 'a')],
    ['a file in the place of the program', named(PROGRAM.python)],
    ['too many files', named(...Array.from({ length: 101 }, (_, i) => `${i}`))],
    ['bytes that are none', job({ files: [{ path: 'a', base64: '?' }] })],
    ['a language that nobody speaks', job({ language: 'cobol' })],
    ['a program that is too long', job({ source: 'x'.repeat(1024 * 1024 + 1) })],
    ['no end', job({ limits: { ...DEFAULT_SANDBOX_LIMITS, timeoutMs: Infinity } })],
    ['fields that nobody knows', job({ command: 'rm' })],
  ])('has not %s', (_what, given) => {
    expect(sandboxJob.safeParse(given).success).toBe(false);
  });
});

test('what comes back is held to the same names', () => {
  const end = { reason: 'Exited', exitCode: 0, leftOut: [], durationMs: 1 };
  expect(sandboxEnd.safeParse({ ...end, files: [{ path: 'a.txt', text: '' }] }).success).toBe(true);
  expect(sandboxEnd.safeParse({ ...end, files: [{ path: '../a.txt', text: '' }] }).success).toBe(false);
});
