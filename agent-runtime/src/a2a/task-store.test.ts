import { describe, expect, test } from '@jest/globals';
import { AgentFailure } from '../failure.ts';
import type { Task } from './task.ts';
import { TaskStore } from './task-store.ts';
import type { IncomingMessage } from './wire.ts';

const message = (messageId: string, text = 'x'): IncomingMessage => ({
  messageId,
  role: 'ROLE_USER',
  parts: [{ text }],
});

function store(limits: Partial<ConstructorParameters<typeof TaskStore>[0]> = {}) {
  const clock = { now: 1_000 };
  const tasks = new TaskStore(
    { maxTasks: 3, maxAgeMs: 10_000, maxRetained: 10_000, ...limits },
    () => ({}),
    () => clock.now,
  );
  const begin = (id: string, text?: string): Task => tasks.startOnce(message(id, text), () => undefined);
  const finish = async (task: Task, output = 'done'): Promise<void> => {
    task.append(output);
    task.complete('appended', { inputTokens: 1, outputTokens: 1 });
    await task.finished;
  };
  return { tasks, clock, begin, finish };
}

describe('the tasks in memory', () => {
  test('when full, the one that ended first makes room, and unfinished ones stay', async () => {
    const { tasks, begin, finish } = store();
    const [first, second, third] = [begin('1'), begin('2'), begin('3')] as const;
    await finish(third);
    await finish(second);
    begin('4');
    expect(() => tasks.get(third.id)).toThrow(expect.objectContaining({ code: -32001 }));
    expect([tasks.get(first.id), tasks.get(second.id)]).toEqual([first, second]);
    expect(tasks.size).toBe(3);
  });

  test('when full of unfinished ones, a new one is refused and leaves no trace', () => {
    const { tasks, begin } = store();
    const known = begin('1');
    begin('2');
    begin('3');
    expect(() => begin('4')).toThrow(
      expect.objectContaining({ code: -32603, message: expect.stringContaining('3 unfinished tasks') }),
    );
    expect(begin('1')).toBe(known);
    expect(tasks.size).toBe(3);
  });

  test('a message whose work could not begin may be sent again', () => {
    const { tasks, begin } = store();
    const busy = (): never => {
      throw new AgentFailure('AgentUnavailable', 'busy');
    };
    expect(() => tasks.startOnce(message('1'), busy)).toThrow('busy');
    expect(tasks.size).toBe(0);
    expect(begin('1').state).toBe('TASK_STATE_WORKING');
  });

  test('what ended long ago is forgotten, and its message starts a new task', async () => {
    const { tasks, clock, begin, finish } = store();
    const old = begin('1');
    await finish(old);
    clock.now += 10_000;
    expect(tasks.get(old.id)).toBe(old);
    clock.now += 1;
    expect(() => tasks.get(old.id)).toThrow('no such task');
    expect(begin('1')).not.toBe(old);
  });

  test('large outputs push out older ones, but the newest can always be fetched', async () => {
    const { tasks, begin, finish } = store({ maxRetained: 100 });
    const [small, large] = [begin('1'), begin('2')] as const;
    await finish(small);
    await finish(large, 'y'.repeat(1_000));
    expect(() => tasks.get(small.id)).toThrow('no such task');
    expect(tasks.get(large.id)).toBe(large);
    const next = begin('3');
    await finish(next);
    expect(() => tasks.get(large.id)).toThrow('no such task');
  });

  test('a task that is over does not change any more', async () => {
    const { begin, finish } = store();
    const task = begin('1');
    await finish(task);
    const before = task.snapshot({ artifacts: true });
    task.append('more');
    task.cancel();
    task.fail(new AgentFailure('ModelFailed', 'late'));
    expect(task.snapshot({ artifacts: true })).toEqual(before);
  });

  test('pages go on where they stopped, even if tasks have changed or gone meanwhile', async () => {
    const { tasks, clock, begin, finish } = store({ maxTasks: 10 });
    const all = ['1', '2', '3', '4'].map((id) => {
      clock.now += 1;
      return begin(id);
    });
    const page = tasks.list({ pageSize: 2 });
    expect(page.tasks.map(({ id }) => id)).toEqual([all[3]?.id, all[2]?.id]);
    clock.now += 1;
    if (all[2] !== undefined) await finish(all[2]);
    const next = tasks.list({ pageSize: 2, pageToken: page.nextPageToken });
    expect(next.tasks.map(({ id }) => id)).toEqual([all[1]?.id, all[0]?.id]);
    expect(next.nextPageToken).toBe('');
  });
});
