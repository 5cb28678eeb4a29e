import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AnswerBuilder, eventsOf, type Answer, type AnswerPart, type ModelEvent } from './answer.ts';
import { packSignature, packToolCallId, unpackSignature, unpackToolCallId, type Opaque } from './opaque.ts';

const opaque: fc.Arbitrary<Opaque> = fc.record(
  {
    family: fc.constantFrom('openai' as const, 'anthropic' as const, 'google' as const),
    data: fc.string({ unit: 'grapheme' }),
    id: fc.string({ minLength: 1 }),
    kind: fc.constant('redacted' as const),
  },
  { requiredKeys: ['family', 'data'] },
);
const someText = fc.string({ unit: 'grapheme', minLength: 1 });

describe('what a provider wants back', () => {
  test('survives the id of a tool call', () => {
    const thought = fc.record({ text: someText, opaque }, { requiredKeys: ['opaque'] });
    const call = fc.record(
      { id: fc.stringMatching(/^[a-zA-Z0-9_-]{1,40}$/), opaque, thoughts: fc.array(thought, { maxLength: 3 }) },
      { requiredKeys: ['id', 'thoughts'] },
    );
    fc.assert(
      fc.property(call, (one) => {
        const packed = packToolCallId(one);
        expect(unpackToolCallId(packed)).toEqual(one);
        // Providers and clients take such ids apart nowhere, but some check their letters.
        expect(packed).toMatch(/^[\w~-]+$/);
      }),
    );
  });

  test('survives the place for a signature of another family', () => {
    fc.assert(
      fc.property(opaque, fc.constantFrom('anthropic' as const, 'google' as const), (one, own) => {
        fc.pre(!one.data.startsWith('kadre:'));
        expect(unpackSignature(packSignature(one, own), own)).toEqual(one);
      }),
    );
  });

  test('is shown as it is in the dialect of its own family', () => {
    expect(packSignature({ family: 'anthropic', data: 'EqQB' }, 'anthropic')).toBe('EqQB');
    expect(unpackSignature('EqQB', 'anthropic')).toEqual({ family: 'anthropic', data: 'EqQB' });
  });

  test.each(['call_1', 'call~k1~', 'call~k1~!!!', `call~k1~${Buffer.from('{"a":1}').toString('base64url')}`, '~k1~'])(
    'is not found in the id %s',
    (id) => {
      expect(unpackToolCallId(id)).toEqual({ id: id.split('~')[0], thoughts: [] });
    },
  );

  test('is dropped where somebody tampered with it', () => {
    const packed = Buffer.from(JSON.stringify([{ family: 'mistral', data: 'x' }, [{ opaque: 7 }, null]])).toString(
      'base64url',
    );
    expect(unpackToolCallId(`a~k1~${packed}`)).toEqual({ id: 'a', thoughts: [] });
  });
});

/** No two texts stand side by side unless the first is closed by its blob: that is how answers are put together. */
const answer: fc.Arbitrary<Answer> = fc
  .record({
    parts: fc.array(
      fc.oneof<fc.Arbitrary<AnswerPart>[]>(
        fc.record({ type: fc.constant('text' as const), text: someText, opaque }, { requiredKeys: ['type', 'text'] }),
        fc.record({ type: fc.constant('reasoning' as const), text: someText, opaque }),
        fc.record({ type: fc.constant('refusal' as const), text: someText }),
        fc.record({
          type: fc.constant('toolCall' as const),
          id: someText,
          name: someText,
          arguments: fc.json(),
          opaque,
        }),
      ),
      { maxLength: 8 },
    ),
    finish: fc.constantFrom('stop' as const, 'toolCalls' as const, 'length' as const),
  })
  .map(({ parts, finish }) => ({
    finish,
    parts: parts.filter((part, index) => {
      const before = parts[index - 1];
      return before?.type !== part.type || part.type === 'toolCall';
    }),
  }));

function built(events: Iterable<ModelEvent>): Answer | undefined {
  const builder = new AnswerBuilder();
  for (const event of events) builder.add(event);
  return builder.answer;
}

describe('an answer', () => {
  test('is the same told as a stream and put together again', () => {
    fc.assert(fc.property(answer, (one) => expect(built(eventsOf(one))).toEqual(one)));
  });

  test('joins pieces of texts and of calls that come mixed', () => {
    const events: ModelEvent[] = [
      { type: 'start', id: 'a', model: 'm' },
      { type: 'reasoning', text: 'hm' },
      { type: 'reasoning', text: 'm' },
      { type: 'reasoning', opaque: { family: 'anthropic', data: 's1' } },
      { type: 'reasoning', text: 'again' },
      { type: 'reasoning', opaque: { family: 'anthropic', data: 's2' } },
      { type: 'text', text: 'Let me ' },
      { type: 'text', text: 'look.' },
      { type: 'toolCall', index: 0, id: 'a', name: 'one' },
      { type: 'toolCall', index: 1, id: 'b', name: 'two' },
      { type: 'toolArguments', index: 1, arguments: '{"b"' },
      { type: 'toolArguments', index: 0, arguments: '{}' },
      { type: 'toolArguments', index: 1, arguments: ':1}' },
      { type: 'finish', reason: 'toolCalls' },
    ];
    expect(built(events)).toEqual({
      id: 'a',
      model: 'm',
      finish: 'toolCalls',
      parts: [
        { type: 'reasoning', text: 'hmm', opaque: { family: 'anthropic', data: 's1' } },
        { type: 'reasoning', text: 'again', opaque: { family: 'anthropic', data: 's2' } },
        { type: 'text', text: 'Let me look.' },
        { type: 'toolCall', id: 'a', name: 'one', arguments: '{}' },
        { type: 'toolCall', id: 'b', name: 'two', arguments: '{"b":1}' },
      ],
    });
  });

  test('is none before it is complete', () => {
    expect(built([{ type: 'start' }, { type: 'text', text: 'x' }])).toBeUndefined();
  });
});
