import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EventStreamParser, type ServerSentEvent } from './event-stream.ts';

/** The events of a text that comes in these pieces of bytes. */
function eventsIn(bytes: Uint8Array, cuts: readonly number[] = []): ServerSentEvent[] {
  const parser = new EventStreamParser();
  const places = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const events = places.slice(1).flatMap((end, index) => parser.push(bytes.subarray(places[index], end)));
  return [...events, ...parser.end()];
}
const read = (text: string): ServerSentEvent[] => eventsIn(Buffer.from(text));
const data = (...all: string[]): ServerSentEvent[] => all.map((one) => ({ name: '', data: one }));

describe('an event stream', () => {
  test.each<[string, string, ServerSentEvent[]]>([
    ['ends an event with an empty line', 'data: a\n\ndata: b\n\n', data('a', 'b')],
    ['has names', 'event: ping\ndata: {}\n\n', [{ name: 'ping', data: '{}' }]],
    ['forgets a name with its event', 'event: x\ndata: 1\n\ndata: 2\n\n', [{ name: 'x', data: '1' }, ...data('2')]],
    ['joins lines of data', 'data: a\ndata: b\n\n', data('a\nb')],
    ['takes one space away, not two', 'data:  a\n\ndata:b\n\n', data(' a', 'b')],
    ['passes over comments and unknown fields', ': keep-alive\n\nid: 7\nretry: 10\ndata: a\n\n', data('a')],
    ['passes over events without data', 'event: ping\n\n\n\ndata: a\n\n', data('a')],
    ['ends lines as Windows does', 'data: a\r\n\r\ndata: b\r\n\r\n', data('a', 'b')],
    ['ends lines as nobody does any more', 'data: a\r\rdata: b\r\r', data('a', 'b')],
    ['may begin with a byte order mark', '\uFEFFdata: a\n\n', data('a')],
    ['may lack the last empty line', 'data: a\n\ndata: b\n', data('a', 'b')],
    ['does not count a line that was cut', 'data: a\n\ndata: {"hal', data('a')],
    ['keeps colons and empty data', 'data: a:b: c\n\ndata\n\ndata:\n\n', data('a:b: c', '', '')],
  ])('%s', (_name, text, events) => {
    expect(read(text)).toEqual(events);
  });

  const line = fc.oneof(
    fc.constantFrom('', '', 'event: delta', ': comment', 'data: 🗼東京', 'data: {"a": "ü"}', 'id: 1'),
    fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `data: ${text}`),
  );
  const stream = fc
    .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
    .map((lines) => Buffer.from(lines.map(([text, end]) => text + end).join('')));

  test('says the same however its bytes are torn apart', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 40 }), (bytes, cuts) => {
        expect(eventsIn(bytes, cuts)).toEqual(eventsIn(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('says the same byte by byte', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        expect(eventsIn(bytes, [...bytes.keys()])).toEqual(eventsIn(bytes));
      }),
      { numRuns: 200 },
    );
  });
});
