import { describe, expect, test } from '@jest/globals';
import { canBeHeld, heldSchema } from './schema.ts';

describe('a schema that Anthropic is to hold a model to', () => {
  test.each<[string, object, object]>([
    [
      'is closed',
      { type: 'object', properties: { a: { type: 'integer', minimum: 3 } }, required: ['a'] },
      { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: false },
    ],
    [
      'loses what is not offered',
      { type: 'string', minLength: 3, pattern: 'x', format: 'email' },
      { type: 'string', format: 'email' },
    ],
    [
      'keeps lists, references and alternatives',
      {
        $defs: { n: { type: 'number' } },
        type: 'array',
        minItems: 2,
        items: { oneOf: [{ $ref: '#/$defs/n' }, { enum: ['x'] }] },
      },
      { $defs: { n: { type: 'number' } }, type: 'array', items: { anyOf: [{ $ref: '#/$defs/n' }, { enum: ['x'] }] } },
    ],
  ])('%s', (_name, schema, held) => {
    expect(heldSchema(schema as Record<string, unknown>)).toEqual(held);
  });

  test.each<[string, object]>([
    ['is open on purpose', { type: 'object', properties: {}, additionalProperties: { type: 'string' } }],
    ['names no properties', { type: 'object' }],
    ['admits anything', {}],
    ['is elsewhere', { $ref: 'https://example.com/schema.json' }],
    ['has such a part', { type: 'array', items: { type: 'object' } }],
  ])('is asked for in words instead where it %s', (_name, schema) => {
    expect(canBeHeld(schema as Record<string, unknown>)).toBe(false);
  });
});
