import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { passagesOf } from './chunks.ts';

const small = { characters: 200, overlap: 40 };
const words = (text: string): string => text.replace(/\s+/g, ' ').trim();

describe('passages', () => {
  test('stand under the headings of their section, and never reach over one', () => {
    const text =
      '# Shop\n\nWelcome.\n\n## Refunds\n\nWithin 30 days.\n\n### Gifts\n\nNever.\n\n## Shipping\n\nTwo days.';
    expect(passagesOf(text, small, true)).toEqual([
      { headings: ['Shop'], text: 'Welcome.' },
      { headings: ['Shop', 'Refunds'], text: 'Within 30 days.' },
      { headings: ['Shop', 'Refunds', 'Gifts'], text: 'Never.' },
      { headings: ['Shop', 'Shipping'], text: 'Two days.' },
    ]);
  });

  test('take no heading from a block of code, nor from text that has none', () => {
    const text = 'Do this:\n\n```sh\n# not a heading\nmake\n```\n\nThat is all.';
    expect(passagesOf(text, small, true)).toEqual([{ headings: [], text }]);
    expect(passagesOf('# 1 is a number', small, false)).toEqual([{ headings: [], text: '# 1 is a number' }]);
  });

  test('end where a paragraph, a line, a sentence or a word ends, whichever comes first', () => {
    const sentence = 'A sentence of some words. ';
    const [first = '', second = ''] = passagesOf(`${sentence.repeat(6)}\n\n${sentence.repeat(4)}`, small, false).map(
      ({ text }) => text,
    );
    expect(first).toBe(sentence.repeat(6).trim());
    expect(second).toMatch(/^(A|sentence|of|some|words\.) .*words\.$/s);
  });

  test('say the end of the one before again, and no more than was asked for', () => {
    const text = Array.from({ length: 200 }, (_, index) => `w${index}`).join(' ');
    const pieces = passagesOf(text, small, false).map((one) => one.text);
    for (const [index, piece] of pieces.entries()) {
      if (index === 0) continue;
      const [first = ''] = piece.split(' ');
      const again = pieces[index - 1]?.split(' ').indexOf(first) ?? -1;
      expect(again).toBeGreaterThan(0);
      expect(pieces[index - 1]?.split(' ').slice(again).join(' ').length).toBeLessThanOrEqual(small.overlap);
    }
    const apart = passagesOf(text, { characters: 200, overlap: 0 }, false).map((one) => one.text);
    expect(apart.join(' ')).toBe(text);
  });
});

const anyText = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 3000 }),
  fc
    .array(fc.constantFrom('# ', 'word ', '\n', '\n\n', '```\n', '👩‍🚀', 'x'.repeat(300), '. ', '## a\n'), {
      maxLength: 300,
    })
    .map((parts) => parts.join('')),
);
const anyChunking = fc.integer({ min: 200, max: 900 }).chain((characters) =>
  fc.record({
    characters: fc.constant(characters),
    overlap: fc.integer({ min: 0, max: Math.floor(characters / 2) }),
  }),
);

describe('whatever the text', () => {
  test('no passage is longer than asked for, none is empty, and none splits a character', () => {
    fc.assert(
      fc.property(anyText, anyChunking, fc.boolean(), (text, chunking, hasHeadings) => {
        for (const passage of passagesOf(text.toWellFormed(), chunking, hasHeadings)) {
          expect(passage.text.length).toBeLessThanOrEqual(chunking.characters);
          expect(passage.text.trim()).not.toBe('');
          expect(passage.text.isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('without overlap and headings the passages are the text, but for blanks', () => {
    fc.assert(
      fc.property(anyText, anyChunking, (text, { characters }) => {
        const pieces = passagesOf(text, { characters, overlap: 0 }, false).map((one) => one.text);
        expect(words(pieces.join(' ')).replaceAll(' ', '')).toBe(words(text).replaceAll(' ', ''));
      }),
      { numRuns: 60 },
    );
  });

  test('the same text is cut the same way', () => {
    fc.assert(
      fc.property(anyText, anyChunking, (text, chunking) => {
        expect(passagesOf(text, chunking, true)).toEqual(passagesOf(text, chunking, true));
      }),
      { numRuns: 20 },
    );
  });
});
