import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeWatch } from './watch-decoder.ts';

const event = (name: string) => ({
  type: 'ADDED',
  object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } },
});
const lines = (...events: unknown[]) => Buffer.from(events.map((each) => `${JSON.stringify(each)}\n`).join(''));

async function* chunks(bytes: Buffer, cuts: number[]): AsyncGenerator<Buffer> {
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    yield await Promise.resolve(bytes.subarray(start, end));
    start = end;
  }
}

async function decode(bytes: Buffer, cuts: number[] = []) {
  const events: unknown[] = [];
  for await (const each of decodeWatch(chunks(bytes, cuts))) events.push(each);
  return events;
}

describe('decodeWatch', () => {
  test('yields the same events wherever the chunks end, within lines and characters alike', async () => {
    const events = ['a', 'größe-😀-名前', 'c'].map(event);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat()), async (cuts) => {
        expect(await decode(lines(...events), cuts)).toEqual(events);
      }),
    );
  });

  test('drops a last line that was cut off', async () => {
    const bytes = lines(event('a'), event('b'));
    expect(await decode(bytes.subarray(0, -10))).toEqual([event('a')]);
  });

  test('skips empty lines', async () => {
    expect(await decode(Buffer.concat([Buffer.from('\n\n'), lines(event('a'))]))).toEqual([event('a')]);
  });

  test('throws what the server reports, with its code', async () => {
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    await expect(decode(lines({ type: 'ERROR', object: status }))).rejects.toMatchObject({
      code: 410,
      reason: 'Expired',
    });
  });

  test.each([
    ['no JSON', 'rubbish\n'],
    ['a number', '42\n'],
    ['an unknown type', '{"type":"NEWS","object":{"metadata":{}}}\n'],
    ['an event without an object', '{"type":"ADDED"}\n'],
    ['an object without metadata', '{"type":"ADDED","object":{}}\n'],
    ['null', 'null\n'],
  ])('refuses %s', async (_name, text) => {
    await expect(decode(Buffer.from(text))).rejects.toMatchObject({ reason: 'MalformedResponse' });
  });
});
