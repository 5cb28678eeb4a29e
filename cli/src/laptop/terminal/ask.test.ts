// Questions in a terminal: what is asked, and what becomes of each reply.
import { describe, expect, test } from '@jest/globals';
import { PassThrough } from 'node:stream';
import { askApproval, askPayload, askWords } from './ask.ts';
import { Terminal } from './terminal.ts';

function sitting() {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 });
  const stdout = new PassThrough();
  let said = '';
  const replies: string[] = [];
  let answered = 0;
  stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    // Each question ends by placing the cursor behind it.
    const asked = said.split('\u001b[0J').length - 1;
    if (asked <= answered || replies.length === 0) return;
    answered = asked;
    setImmediate(() => stdin.write(replies.shift() ?? ''));
  });
  const abort = new AbortController();
  let interruptions = 0;
  const asked = { lines: ['Publish?'], signal: abort.signal, interrupted: () => void (interruptions += 1) };
  return {
    terminal: new Terminal({ stdin, stdout, stderr }, {}),
    asked,
    abort,
    reply: (...texts: string[]) => void replies.push(...texts),
    said: () => said,
    interruptions: () => interruptions,
  };
}

const form = {
  type: 'object',
  required: ['score'],
  properties: {
    score: { type: 'integer', minimum: 1, description: 'from 1' },
    note: { type: 'string' },
    urgent: { type: 'boolean', default: false },
    tags: { type: 'array' },
  },
};

test.each<[string, string, object | undefined]>([
  ['is answered', 'Red, please\r', { approved: true, answer: 'Red, please' }],
  ['is declined', '\r', { approved: false }],
  ['is put off', '\u0004', undefined],
])('a question of an agent %s', async (_, reply, verdict) => {
  const seat = sitting();
  seat.reply(reply);
  expect(await askWords(seat.terminal, seat.asked)).toEqual(verdict);
});

describe('an approval', () => {
  test.each<[string, object | undefined, string[], object | undefined]>([
    ['is given', undefined, ['y\r'], { approved: true }],
    ['is given in full', undefined, ['YES\r'], { approved: true }],
    ['is refused', undefined, ['n\r'], { approved: false }],
    ['is asked for again until it is clear', undefined, ['perhaps\r', '\r', 'no\r'], { approved: false }],
    ['is put off', undefined, ['\u0004'], undefined],
    [
      'comes with a form',
      form,
      ['y\r', '7\r', '12\r', 'y\r', '["a"]\r'],
      { approved: true, answer: { score: 7, note: '12', urgent: true, tags: ['a'] } },
    ],
    [
      'has defaults and may leave fields out',
      form,
      ['y\r', '1\r', '\r', '\r', '\r'],
      { approved: true, answer: { score: 1, urgent: false } },
    ],
    [
      'has its form filled in again if it does not fit',
      form,
      ['y\r', '0\r', '\r', '\r', '\r', '2\r', '\r', '\r', '\r'],
      { approved: true, answer: { score: 2, urgent: false } },
    ],
    [
      'takes any JSON where the form has no fields',
      { type: 'array' },
      ['y\r', '{}\r', '[1]\r'],
      { approved: true, answer: [1] },
    ],
  ])('%s', async (_, schema, replies, expected) => {
    const { terminal, asked, reply, said } = sitting();
    reply(...replies);
    expect(await askApproval(terminal, asked, schema as Record<string, unknown> | undefined)).toEqual(expected);
    expect(said()).toContain('Publish?');
  });

  test('tells of each field what it is for', async () => {
    const { terminal, asked, reply, said } = sitting();
    reply('y\r', '1\r', '\r', '\r', '\r');
    await askApproval(terminal, asked, form);
    expect(said()).toContain('score — from 1 (integer)');
    expect(said()).toContain('urgent (boolean, optional) [false]');
  });

  test('is not asked for any more when the run is over', async () => {
    const { terminal, asked, abort } = sitting();
    const verdict = askApproval(terminal, asked, undefined);
    abort.abort();
    expect(await verdict).toBeUndefined();
  });

  test('lets Ctrl-C through', async () => {
    const { terminal, asked, reply, interruptions } = sitting();
    reply('\u0003', 'y\r');
    const verdict = askApproval(terminal, asked, undefined);
    // The question stays open: cancelling the run closes it.
    while (interruptions() === 0) await new Promise((resolve) => setImmediate(resolve));
    terminal.streams.stdin.emit('data', Buffer.from('y\r'));
    expect(await verdict).toEqual({ approved: true });
  });

  test('keeps what is said meanwhile until it is given', async () => {
    const { terminal, asked, reply, said } = sitting();
    const verdict = askApproval(terminal, asked, undefined);
    terminal.note('news');
    expect(said()).not.toContain('news');
    reply('y\r');
    terminal.streams.stdin.emit('data', Buffer.from('y\r'));
    await verdict;
    await new Promise((resolve) => setImmediate(resolve));
    expect(said()).toContain('news');
  });
});

test.each([
  ['{"a": 1}\r', { payload: { a: 1 } }],
  ['text\r', { payload: 'text' }],
  ['\r', { payload: null }],
  ['\u0004', undefined],
])('the payload of an event may be %j', async (typed, expected) => {
  const { terminal, asked, reply } = sitting();
  reply(typed);
  expect(await askPayload(terminal, asked)).toEqual(expected);
});
