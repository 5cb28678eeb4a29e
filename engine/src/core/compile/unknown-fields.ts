// Fields that nobody reads. The API server keeps nested steps as they are, so that a slip of the keyboard would change
// silently what a workflow does.
import { workflowSpec } from '@kadre/crds';
import type { z } from 'zod';
import { closest } from '../expression/suggest.ts';
import { isRecord } from '../expression/types.ts';
import type { Report } from '../expression/template.ts';

/** The path of each object that has such a field is added to `mistyped`. */
export function reportUnknownFields(spec: unknown, report: Report, mistyped: Set<string>): void {
  const visit = (schema: z.core.$ZodType, value: unknown, path: string): void => {
    const bare = unwrap(schema);
    if (isArray(bare) && Array.isArray(value)) {
      value.forEach((element, i) => visit(bare._zod.def.element, element, `${path}[${i}]`));
    }
    if (!isObject(bare) || !isRecord(value)) return;
    const { shape, catchall } = bare._zod.def;
    for (const [name, field] of Object.entries(value)) {
      const inside = path === '' ? name : `${path}.${name}`;
      const known = Object.hasOwn(shape, name) ? shape[name] : undefined;
      if (known) visit(known, field, inside);
      else if (!catchall && field !== undefined) {
        mistyped.add(path);
        report(inside, unknown(name, shape));
      }
    }
  };
  visit(workflowSpec, spec, '');
}

type Shape = z.core.$ZodShape;

/** What people write who know other tools, or who read plans of this one. */
const instead: Record<string, string> = {
  if: 'when',
  dependsOn: 'needs',
  depends: 'needs',
  retries: 'retry.limit',
};

function unknown(name: string, shape: Shape): string {
  const isStep = 'needs' in shape;
  const candidates = Object.keys(shape);
  const known = isStep && Object.hasOwn(instead, name) ? instead[name] : closest(name, candidates);
  const meant = known === undefined ? inner(name, shape) : [known];
  if (meant.length > 0) return `unknown field; did you mean ${meant.join(' or ')}?`;
  return `unknown field; there are: ${candidates.join(', ')}`;
}

/** Where else a field of this name is: prompt is agent.prompt. */
function inner(name: string, shape: Shape): string[] {
  return Object.entries(shape).flatMap(([field, schema]) => {
    const bare = unwrap(schema);
    return isObject(bare) && Object.hasOwn(bare._zod.def.shape, name) ? [`${field}.${name}`] : [];
  });
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod;
  if ('innerType' in def) return unwrap(def.innerType as z.core.$ZodType);
  return 'getter' in def ? unwrap((def.getter as () => z.core.$ZodType)()) : schema;
}

function isObject(schema: z.core.$ZodType): schema is z.core.$ZodObject {
  return schema._zod.def.type === 'object';
}

function isArray(schema: z.core.$ZodType): schema is z.core.$ZodArray {
  return schema._zod.def.type === 'array';
}
