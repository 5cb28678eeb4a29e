import { mkdtempSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { tokenFromFile } from './credentials.ts';

describe('the token of the pod', () => {
  let directory: string;
  let now = 0;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'token-'));
    now = 0;
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const file = (): string => join(directory, 'token');
  const write = (token: string, seconds: number, name = 'token'): void => {
    writeFileSync(join(directory, name), token);
    utimesSync(join(directory, name), seconds, seconds);
  };

  test('is read without the line end', async () => {
    write('one\n', 1);
    expect(await tokenFromFile(file(), () => now)()).toBe('one');
  });

  test('is read again as soon as the file has changed', async () => {
    write('one', 1);
    const token = tokenFromFile(file(), () => now);
    await token();
    write('two', 2);
    expect(await token()).toBe('two');
  });

  test('is read again when the kubelet turns the link to another file', async () => {
    write('one', 1, 'old');
    write('two', 2, 'new');
    symlinkSync(join(directory, 'old'), file());
    const token = tokenFromFile(file(), () => now);
    await token();
    unlinkSync(file());
    symlinkSync(join(directory, 'new'), file());
    expect(await token()).toBe('two');
  });

  test('is read again after a minute, even if the file looks the same', async () => {
    write('one', 1);
    const token = tokenFromFile(file(), () => now);
    await token();
    write('two', 1);
    now = 59_999;
    expect(await token()).toBe('one');
    now = 60_000;
    expect(await token()).toBe('two');
  });

  test('stays in use while the file is away or empty', async () => {
    write('one', 1);
    const token = tokenFromFile(file(), () => now);
    await token();
    write('', 2);
    expect(await token()).toBe('one');
    unlinkSync(file());
    expect(await token()).toBe('one');
  });

  test.each([
    ['is not there', undefined, /ENOENT/],
    ['is empty', ' \n', /it is empty/],
  ])('a file that %s is Unauthorized', async (_name, content, sentence) => {
    if (content !== undefined) write(content, 1);
    await expect(tokenFromFile(file(), () => now)()).rejects.toMatchObject({
      reason: 'Unauthorized',
      message: expect.stringMatching(sentence),
    });
  });
});
