import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Laptop, workflow } from './kadre.ts';

let laptop: Laptop;
beforeEach(async () => (laptop = await Laptop.open()));
afterEach(() => laptop.close());

test('the examples are right', async () => {
  const ended = await laptop.kadre(['validate', '-f', 'examples', '-o', 'json']);
  const { problems, ...rest } = JSON.parse(ended.stdout) as { problems: { level: string }[]; valid: boolean };
  expect({ status: ended.status, valid: rest.valid }).toEqual({ status: 0, valid: true });
  expect(problems.every(({ level }) => level === 'warning')).toBe(true);
});

test('what is wrong is told by file, line and column, and by the exit status', async () => {
  const file = await laptop.manifests(workflow('w', '    - name: one\n      agnet: {name: writer, prompt: Go}'));
  const ended = await laptop.kadre(['validate', '-f', file]);
  expect(ended.status).toBe(2);
  expect(ended.stdout).toContain(`${file}:23:7: spec.steps[0].agnet: `);
  expect(ended.stderr).toMatch(/^3 manifests checked: \d errors?, 0 warnings\n$/);
  const json = JSON.parse((await laptop.kadre(['validate', '-f', file, '-o', 'json'])).stdout) as {
    problems: object[];
  };
  expect(json.problems).toContainEqual(expect.objectContaining({ file, line: 23, column: 7, object: 'Workflow/w' }));
});

test('objects of other kinds are passed over and counted', async () => {
  const ended = await laptop.kadre(['validate', '-f', '-'], {
    input: 'apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}',
  });
  expect(ended).toEqual({
    status: 0,
    stdout: '',
    stderr: '0 manifests checked, 2 of other kinds skipped: 0 errors, 0 warnings\n',
  });
});

test('what is applied elsewhere may be missing if one says so', async () => {
  const args = ['validate', '-f', 'examples/agents'];
  expect(await laptop.kadre(args)).toMatchObject({ status: 2 });
  expect(await laptop.kadre([...args, '--allow-missing'])).toMatchObject({ status: 0 });
});

test.each([
  [[], /required option '-f/],
  [['-f', 'nowhere'], /nowhere: there is no such file or folder/],
])('without manifests it says what to do', async (args, message) => {
  const ended = await laptop.kadre(['validate', ...args]);
  expect(ended.status).toBe(2);
  expect(ended.stderr).toMatch(message);
});
