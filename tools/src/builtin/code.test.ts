import { describe, expect, test } from '@jest/globals';
import type { Tool } from '@kadre/crds';
import type { Errand } from '../executor.ts';
import { ToolError } from '../tool-error.ts';
import { codeExecutor, type Program, type ProgramEnd } from './code.ts';

const tool = (languages: ('python' | 'javascript' | 'shell')[] = ['python', 'shell']): Tool =>
  ({
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Tool',
    metadata: { name: 'code', namespace: 'team', uid: 'u' },
    spec: { builtin: { code: { languages, warm: 0, memory: '256Mi', cpu: '500m' } } },
  }) as unknown as Tool;
const errand = (maxBytes = 8000): Errand => ({
  tool: tool(),
  secret: () => Promise.reject(new Error('no')),
  signal: new AbortController().signal,
  maxBytes,
});
const request = (args: Record<string, unknown>) => ({
  args,
  idempotencyKey: 'k',
  signal: new AbortController().signal,
  headers: {},
});
const end = (other: Partial<ProgramEnd> = {}): ProgramEnd => ({
  exitCode: 0,
  stdout: '42\n',
  stderr: '',
  files: [],
  leftOut: [],
  ...other,
});

async function tell(outcome: ProgramEnd, maxBytes?: number) {
  const asked: Program[] = [];
  const executor = codeExecutor((program) => {
    asked.push(program);
    return Promise.resolve(outcome);
  });
  const answer = await executor.call(errand(maxBytes), request({ language: 'python', source: 'print(42)' }));
  const [content] = answer.content;
  return { answer, asked, text: content?.type === 'text' ? content.text : '' };
}

describe('a tool that runs code', () => {
  test('says what it takes', async () => {
    const { operations } = await codeExecutor().describe(errand());
    expect(operations).toMatchObject([
      {
        description: expect.stringContaining('Python, POSIX shell') as unknown,
        inputSchema: {
          required: ['language', 'source'],
          properties: { language: { enum: ['python', 'shell'] } },
          additionalProperties: false,
        },
      },
    ]);
  });

  test.each([
    ['another language', { language: 'javascript', source: '1' }, 'language'],
    ['no program', { language: 'python', source: '' }, 'source'],
    ['a file without text', { language: 'python', source: '1', files: [{ path: 'a' }] }, 'files.0.text'],
  ])('tells the model of %s', async (_what, args, where) => {
    const answer = await codeExecutor().call(errand(), request(args));
    expect(answer).toMatchObject({ isError: true, content: [{ text: expect.stringContaining(where) as unknown }] });
  });

  test('tells what a program printed, and gives all of it as data', async () => {
    const outcome = end({ output: { n: 1 }, files: [{ path: 'a.txt', text: 'hi' }] });
    const { answer, text, asked } = await tell(outcome);
    expect(asked).toEqual([{ language: 'python', source: 'print(42)' }]);
    expect(text).toBe('Exit code 0.\n\nstdout:\n42\n\n\noutput:\n{"n":1}\n\nfiles:\na.txt:\nhi');
    expect(answer).toMatchObject({ isError: false, structured: outcome });
  });

  test('a program that failed or was stopped is an error that the model reads', async () => {
    expect(await tell(end({ exitCode: 1, stderr: 'boom' }))).toMatchObject({
      answer: { isError: true },
      text: 'Exit code 1.\n\nstdout:\n42\n\n\nstderr:\nboom',
    });
    const { exitCode, ...stopped } = end({ stopped: 'It took longer than 30 s.' });
    expect(exitCode).toBe(0);
    expect((await tell(stopped)).text).toMatch(/^It was stopped: It took longer than 30 s\./);
  });

  test('of much there is the beginning and the end', async () => {
    const { text } = await tell(end({ stdout: `a${'x'.repeat(99_999)}z` }), 8000);
    expect(text.length).toBeLessThan(1200);
    expect(text).toMatch(/^Exit code 0\.\n\nstdout:\nax+\n… \d+ characters left out …\nx+z$/);
  });

  test('where there is nothing to run it in, nothing is run', async () => {
    const call = codeExecutor().call(errand(), request({ language: 'python', source: '1' }));
    await expect(call).rejects.toThrow(ToolError);
  });
});
