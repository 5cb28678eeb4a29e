// Patterns in scripts come from users and must never hang the gateway. re2js matches in time linear in the input; the
// bounds here keep the factor small as well.
import { BoundedMap } from '@kadre/store';
import { RE2JS } from 're2js';

/** Only the beginning of a prompt is searched, in UTF-16 code units. */
const MAX_INPUT = 32_768;
/** Steps of the compiled program: `.{1000}` alone is a thousand. */
const MAX_PROGRAM = 2_000;
/** What repetitions multiply to, checked before compiling because compiling is what costs. */
const MAX_REPEAT = 10_000;
const CAPACITY = 1024;

type Compiled = { pattern: RE2JS } | { fault: string };

const compiled = new BoundedMap<string, Compiled>(CAPACITY);

/** Whether `expression` (RE2) matches somewhere in `text`; a string says what is wrong with the expression. */
export function matchesScript(expression: string, text: string): boolean | string {
  let known = compiled.get(expression);
  if (!known) {
    known = compile(expression);
    compiled.set(expression, known);
  }
  return 'fault' in known ? known.fault : known.pattern.matcher(text.slice(0, MAX_INPUT)).find();
}

function compile(expression: string): Compiled {
  if (repetitions(expression) > MAX_REPEAT) return { fault: 'it repeats too much' };
  try {
    const pattern = RE2JS.compile(expression);
    return pattern.programSize() > MAX_PROGRAM ? { fault: 'it is too large' } : { pattern };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : 'it cannot be read' };
  }
}

/** Sum of the counted repetitions; RE2 itself refuses nested ones beyond a thousand. */
function repetitions(expression: string): number {
  const counts = expression.matchAll(/\{(\d{1,4})(?:,(\d{0,4}))?\}/g);
  return [...counts].reduce((sum, [, from, to]) => sum + Math.max(Number(from), Number(to ?? 0)), 0);
}
