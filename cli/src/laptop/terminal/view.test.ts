import { describe, expect, test } from '@jest/globals';
import { duration, money, time } from './format.ts';
import { cut } from './screen.ts';
import { sentence } from './sentences.ts';
import { withoutControls } from './terminal.ts';
import { treeLines } from './tree.ts';
import { isOver, look, newView } from './view.ts';

type Told = [seconds: number, type: string, data?: object];

const usage = { inputTokens: 10, outputTokens: 5, costNanoUsd: 2_000_000, unpricedCalls: 0 };
const start = (step: string, route: object = { kind: 'service' }, attempt = 1) => ({ step, attempt, route });
const done = (step: string, more: object = {}) => ({ step, attempt: 1, bytes: 1, usage, ...more });

function tell(planned: string[], told: Told[]) {
  const view = newView(planned);
  const sentences: string[] = [];
  told.forEach(([seconds, type, data = {}], index) => {
    const event = { seq: index + 1, at: seconds * 1000, type, data };
    look(view, event);
    const said = sentence(view, event);
    if (said !== undefined) sentences.push(said);
  });
  const lines = (now: number, rows = 40, everything = false) =>
    treeLines(view, 'run', { now: now * 1000, rows, colour: false, everything });
  return { view, sentences, lines };
}

describe('the tree of a run shows', () => {
  test('steps to come, at work and over, with what they took', () => {
    const { lines } = tell(
      ['a', 'b', 'c', 'd'],
      [
        [1, 'RunStarted'],
        [1, 'StepStarted', start('a')],
        [3, 'StepSucceeded', done('a')],
        [3, 'StepSkipped', { step: 'b' }],
        [3, 'StepStarted', start('c', undefined, 2)],
      ],
    );
    expect(lines(5)).toEqual([
      'run  Running  4.0s  $0.0020',
      '  ✓ a  2.0s  $0.0020',
      '  - b  skipped',
      '  ● c  attempt 2  2.0s',
      '  · d',
    ]);
  });

  test('how many elements of a list are over, and of those only what is at work or failed', () => {
    const { lines, view } = tell(
      ['fan'],
      [
        [0, 'RunStarted'],
        [0, 'StepFannedOut', { step: 'fan', count: 3 }],
        ...[0, 1, 2].map((index): Told => [0, 'StepStarted', start(`fan[${index}]`)]),
        [1, 'StepSucceeded', done('fan[1]')],
        [
          1,
          'StepFailed',
          { step: 'fan[2]', attempt: 1, usage, failure: { reason: 'TimedOut', message: 'slow' }, then: 'continue' },
        ],
      ],
    );
    expect(lines(2)).toEqual([
      'run  Running  2.0s  $0.0040',
      '  ● fan  2/3  2.0s  $0.0040',
      '    ● [0]  2.0s',
      '    ✗ [2]  1.0s  $0.0020  TimedOut: slow',
    ]);
    look(view, { seq: 99, at: 4000, type: 'StepSucceeded', data: done('fan[0]') });
    expect(view.all.get('fan')).toMatchObject({ phase: 'Succeeded', finishedAt: 4000, elements: { all: 3, over: 3 } });
  });

  test('the round of a loop that is at work, and what is inside', () => {
    const { lines, view } = tell(
      ['loop'],
      [
        [0, 'RunStarted'],
        [0, 'StepStarted', start('loop#1', { kind: 'inline' })],
        [0, 'StepSucceeded', done('loop#1', { again: true })],
        [1, 'StepStarted', start('loop#2', { kind: 'inline' })],
        [1, 'StepStarted', start('loop#2.write')],
      ],
    );
    expect(lines(2).slice(1)).toEqual(['  ● loop  2.0s  $0.0020', '    ● #2  1.0s', '      ● write  1.0s']);
    look(view, { seq: 9, at: 3000, type: 'StepSucceeded', data: done('loop#2') });
    expect(view.all.get('loop')).toMatchObject({ phase: 'Succeeded', finishedAt: 3000 });
  });

  test('what waits, for what and until when', () => {
    const { lines } = tell(
      [],
      [
        [0, 'RunStarted'],
        [0, 'StepStarted', start('nap', { kind: 'timer', until: 60_000 })],
        [0, 'StepStarted', start('pay', { kind: 'event', name: 'paid' })],
        [0, 'StepStarted', start('ok', { kind: 'approval', approval: 'x' })],
        [
          0,
          'StepFailed',
          { step: 'try', attempt: 1, usage, failure: { reason: 'RateLimited', message: 'slow down' }, retryAt: 9000 },
        ],
      ],
    );
    expect(lines(1).slice(1)).toEqual([
      `  ◷ nap  1.0s  waits until ${time(60_000, 1000)}`,
      '  ◷ pay  1.0s  waits for the event paid',
      '  ◷ ok  1.0s  waits for a decision',
      '  ◷ try  $0.0020  tries again in 8.0s  RateLimited: slow down',
    ]);
  });

  test('no more lines than there is room for, what went wrong and what is at work first', () => {
    const { lines } = tell(
      [],
      [
        [0, 'RunStarted'],
        ...Array.from({ length: 30 }, (_, i): Told => [0, 'StepSucceeded', done(`s${i}`)]),
        [0, 'StepStarted', start('busy')],
        [0, 'StepFailed', { step: 'bad', attempt: 1, usage, failure: { reason: 'AgentFailed', message: 'no' } }],
      ],
    );
    const shown = lines(1, 10);
    expect(shown).toHaveLength(9);
    expect(shown.join('\n')).toMatch(/busy[^]*bad[^]*and 25 more/);
    expect(lines(1, 10, true)).toHaveLength(33);
  });

  test('groups that an end of the run cut short as they were left', () => {
    const { view } = tell(
      [],
      [
        [0, 'RunStarted'],
        [0, 'StepStarted', start('g', { kind: 'inline' })],
        [0, 'StepStarted', start('g~2.inner')],
        [1, 'RunCancelled', { failure: { reason: 'Cancelled', message: 'x' } }],
      ],
    );
    expect(isOver(view)).toBe(true);
    expect([...view.all.values()].map(({ id, phase }) => [id, phase])).toEqual([
      ['g', 'Cancelled'],
      ['g~2.inner', 'Cancelled'],
    ]);
  });
});

test('each event is a sentence, but for those that only machinery cares for', () => {
  const failure = { reason: 'TimedOut', message: 'slow' };
  const { sentences } = tell(
    [],
    [
      [10, 'RunStarted'],
      [10, 'StepStarted', start('a')],
      [10.5, 'StepAccepted', { step: 'a', attempt: 1, taskId: 't' }],
      [11, 'StepFailed', { step: 'a', attempt: 1, usage, failure, retryAt: 13_000 }],
      [13, 'StepStarted', start('a', undefined, 2)],
      [14, 'StepFailed', { step: 'a', attempt: 2, usage, failure, then: 'fallback' }],
      [15, 'StepSucceeded', done('a.fallback.b', { source: { kind: 'cache', run: 'x' } })],
      [16, 'RunFailed', { failure }],
    ],
  );
  expect(sentences.map((line) => line.trim())).toEqual([
    '+0.00s  the run started',
    '+0.00s  a started',
    '+1.00s  a failed: TimedOut: slow; it tries again in 2.0s',
    '+3.00s  a (attempt 2) started',
    '+4.00s  a (attempt 2) failed: TimedOut: slow; its fallback begins',
    '+5.00s  a.fallback.b succeeded (0.0s, $0.0020, cached)',
    '+6.00s  the run failed: TimedOut: slow (6.0s, $0.0060)',
  ]);
});

describe('on a terminal', () => {
  test('what models say cannot steer it', () => {
    expect(withoutControls('a\u001b[2Jb\u0007c\u001b]0;title\u0007\td\n\u009b1m')).toBe('a�[2Jb�c�]0;title�\td\n�1m');
    expect(withoutControls('\u001b[31mred\u001b[39m')).toBe('\u001b[31mred\u001b[39m');
  });

  test.each([
    ['short enough', 'abc', 10, 'abc'],
    ['too long', 'abcdefghij', 5, 'abcd…\u001b[39m\u001b[22m'],
    ['of wide letters', '漢字漢字', 6, '漢字…\u001b[39m\u001b[22m'],
    ['of colours, which take no room', '\u001b[31mab\u001b[39mc', 4, '\u001b[31mab\u001b[39mc'],
    ['of several lines', 'a\nb', 9, 'a b'],
  ])('a line %s fits', (_, line, columns, expected) => {
    expect(cut(line, columns)).toBe(expected);
  });

  test('times and money are short', () => {
    expect([0, 420, 12_300, 185_000, 7_440_000, 180_000_000].map(duration)).toEqual([
      '0.0s',
      '0.4s',
      '12s',
      '3m05s',
      '2h04m',
      '2d2h',
    ]);
    expect([0, 1, 160_000, 2_500_000_000].map(money)).toEqual(['', '<$0.0001', '$0.0002', '$2.50']);
  });
});
