import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { listMap, rules } from './markers.ts';
import { structural } from './structural.ts';

describe('a structural schema', () => {
  test('says all that the zod schema says', () => {
    const size = z
      .object({
        name: z
          .string()
          .min(1)
          .max(63)
          .regex(/^\/[a-z]+$/)
          .describe('The name.'),
        count: z.int().describe('Unbounded.'),
        width: z.int().min(1).max(9).default(3).describe('Bounded.'),
        color: z.enum(['red', 'blue']).default('red').describe('The colour.'),
        tags: z.array(z.string().max(9).describe('One.')).max(4).optional().describe('Tags.'),
        parts: z
          .array(z.object({ id: z.string().describe('The id.') }).describe('One.'))
          .meta(listMap('id'))
          .optional()
          .describe('Parts.'),
        labels: z.record(z.string(), z.string().describe('A value.')).meta({ maxProperties: 8 }).describe('Labels.'),
        schema: z.record(z.string(), z.unknown()).describe('A document.'),
        anything: z.unknown().describe('Any JSON.'),
        on: z.boolean().optional().describe('A switch.'),
      })
      .meta(rules({ message: 'make it fit', rule: 'self.count > self.width' }))
      .describe('A size.');

    expect(structural(size, 'Size')).toEqual({
      type: 'object',
      description: 'A size.',
      required: ['name', 'count', 'labels', 'schema', 'anything'],
      'x-kubernetes-validations': [{ message: 'make it fit', rule: 'self.count > self.width' }],
      properties: {
        name: { type: 'string', description: 'The name.', minLength: 1, maxLength: 63, pattern: '^/[a-z]+$' },
        count: { type: 'integer', description: 'Unbounded.' },
        width: { type: 'integer', description: 'Bounded.', minimum: 1, maximum: 9, default: 3 },
        color: { type: 'string', description: 'The colour.', enum: ['red', 'blue'], default: 'red' },
        tags: {
          type: 'array',
          description: 'Tags.',
          maxItems: 4,
          items: { type: 'string', description: 'One.', maxLength: 9 },
        },
        parts: {
          type: 'array',
          description: 'Parts.',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['id'],
          items: {
            type: 'object',
            description: 'One.',
            required: ['id'],
            properties: { id: { type: 'string', description: 'The id.' } },
          },
        },
        labels: {
          type: 'object',
          description: 'Labels.',
          maxProperties: 8,
          additionalProperties: { type: 'string', description: 'A value.' },
        },
        schema: { type: 'object', description: 'A document.', 'x-kubernetes-preserve-unknown-fields': true },
        anything: { description: 'Any JSON.', 'x-kubernetes-preserve-unknown-fields': true },
        on: { type: 'boolean', description: 'A switch.' },
      },
    });
  });

  const refused: [string, z.ZodType, RegExp][] = [
    ['a union', z.union([z.string(), z.int()]), /Kind\.spec.*z\.union.*exactly one/],
    ['a discriminated union', z.discriminatedUnion('a', [z.object({ a: z.literal('x') })]), /z\.literal/],
    ['a literal', z.literal('x'), /z\.literal/],
    ['null', z.string().nullable(), /z\.nullable.*optional/],
    ['an intersection', z.intersection(z.object({}), z.object({})), /z\.intersection/],
    ['a tuple', z.tuple([z.string()]), /z\.tuple/],
    ['a transform', z.string().transform(Number), /z\.(pipe|transform).*never run/],
    ['a trim, which only zod would do', z.string().trim(), /overwrite.*CEL/],
    ['a refinement, which only zod would check', z.string().refine(Boolean), /custom.*CEL/],
    ['a fallback', z.string().catch('x'), /z\.catch.*default/],
    ['any', z.any(), /z\.any/],
    ['a floating-point number', z.number(), /type number.*decimal string/],
    ['a multiple', z.int().multipleOf(5), /multiple_of.*CEL/],
    ['an object that forbids further fields', z.strictObject({ a: z.string() }), /strict objects or a catchall/],
    ['an object whose further fields have a type', z.object({}).catchall(z.string()), /strict objects or a catchall/],
    ['a date-time format, whose pattern is no RE2', z.iso.datetime(), /format|RE2/],
    ['lookahead', z.string().regex(/^(?!x)/), /lookaround/],
    ['lookbehind', z.string().regex(/(?<=x)y/), /lookaround/],
    ['a backreference', z.string().regex(/(a)\1/), /backreferences/],
    ['a pattern with flags', z.string().regex(/a/i), /flags/],
    ['two patterns', z.string().regex(/a/).regex(/b/), /allOf.*not structural/],
    ['an id, which would become a reference', z.object({ a: z.string().meta({ id: 'shared' }) }), /an id would become/],
    ['metadata that no CRD knows', z.string().meta({ examples: ['x'] }), /examples is not in the allow-list/],
    ['a rule on a field without a type', z.unknown().meta(rules({ message: 'm', rule: 'true' })), /beside z\.unknown/],
  ];
  test.each(refused)('refuses %s', (_, schema, message) => {
    expect(() => structural(z.object({ field: schema }), 'Kind.spec')).toThrow(message);
  });

  test('of an object with fields and others beside keeps the others as they are', () => {
    expect(structural(z.looseObject({ name: z.string() }), 'Kind.spec')).toEqual({
      type: 'object',
      properties: { name: { type: 'string' } },
      required: ['name'],
      'x-kubernetes-preserve-unknown-fields': true,
    });
  });

  test('refuses a recursive schema', () => {
    const node = z.object({
      get child() {
        return z.optional(node);
      },
    });
    expect(() => structural(node, 'Kind.spec')).toThrow(/cycle/i);
  });

  test('names the field that is wrong, however deep', () => {
    const deep = z.object({ list: z.array(z.object({ price: z.number() })) });
    expect(() => structural(deep, 'Kind.spec')).toThrow('Kind.spec.list[].price: type number');
  });
});
