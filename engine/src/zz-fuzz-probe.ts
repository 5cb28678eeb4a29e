
import fc from 'fast-check';
import { calledWorkflows } from './core/compile/walk.ts';
import { isRecord } from './core/expression/types.ts';
import { validateWorkflow } from './validate-workflow.ts';

const word = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'finally', 'item');
const expression = fc.constantFrom(
  '$(input)',
  '$(steps.a.output)',
  '$(steps.b.output.x > 1)',
  '$(steps.c.failure == null)',
  '$(true)',
  '$(false)',
  '$(round > 2 || output == 1)',
  '$(size(outputs) > 1)',
  '$(item + index)',
  '$(',
  '$$(x)',
  'text',
  '$(steps)',
);
const junk = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(null, [], {}, 0, -1, 1e9, true, '__proto__'));
const schema = fc.constantFrom(
  { type: 'object', properties: { x: { type: 'integer', default: 'y' } }, additionalProperties: false },
  { type: 'nonsense' },
  { type: 'string', default: 1 },
);
const length = fc.constantFrom('1s', '5m', '0s', '2h', '9999d');

type Wrap = (sound: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>;

/** Workflows with fields that pass through `wrap`. */
function workflowOf(wrap: Wrap, ...required: string[]): fc.Arbitrary<unknown> {
  const some = (fields: Record<string, fc.Arbitrary<unknown>>) => {
    const wrapped = Object.entries(fields).map(([name, field]) => [name, wrap(field)] as const);
    const requiredKeys = required.filter((name) => name in fields);
    return fc.record(Object.fromEntries(wrapped) as typeof fields, { requiredKeys });
  };
  const step = (steps: fc.Arbitrary<unknown>) =>
    some({
      name: word,
      needs: fc.array(word, { maxLength: 3 }),
      when: expression,
      forEach: some({ items: fc.oneof(fc.array(fc.integer()), expression), as: word, until: expression }),
      repeat: some({
        until: expression,
        max: fc.integer({ min: 1, max: 4 }),
        onMax: fc.constantFrom('fail', 'continue'),
      }),
      retry: some({ limit: fc.nat(3), backoff: some({ initial: length, max: length }) }),
      timeout: length,
      onError: some({ continue: fc.boolean(), fallback: steps }),
      cache: some({ key: expression, ttl: length }),
      agent: some({ name: word, prompt: expression }),
      container: some({
        image: word,
        env: fc.array(some({ name: word, value: expression })),
        resources: some({ requests: fc.constant({ 'nvidia.com/gpu': '1' }) }),
      }),
      value: expression,
      steps,
      race: steps,
      workflow: some({ name: word, input: fc.oneof(expression, fc.record({ x: expression, y: fc.integer() })) }),
      wait: some({ for: length, until: expression, event: some({ name: word, filter: expression }) }),
      approval: some({ message: expression, timeout: length, form: some({ schema }) }),
      output: expression,
    });
  const stepsOf = (levels: number): fc.Arbitrary<unknown> => {
    const inside = levels === 1 ? fc.constant([{ name: 'z', value: 1 }]) : stepsOf(levels - 1);
    return fc.array(step(inside), { minLength: 1, maxLength: 2 });
  };
  return some({
    input: some({ schema }),
    steps: stepsOf(3),
    finally: stepsOf(1),
    output: expression,
    limits: some({ duration: length, costUsd: fc.constant('5') }),
    concurrency: some({ key: expression }),
  });
}

/** Whether the rest of a path leads to a value, or at least to where it would be. */
function leadsSomewhere(value: unknown, rest: string): boolean {
  if (rest === '') return true;
  if (Array.isArray(value)) {
    const [head, index] = /^\[(\d+)\]/.exec(rest) ?? [];
    return (
      head !== undefined &&
      Number(index) < value.length &&
      leadsSomewhere(value[Number(index)], rest.slice(head.length))
    );
  }
  const name = rest.replace(/^\./, '');
  if (!isRecord(value)) return false;
  const inside = Object.keys(value).some(
    (key) => name.startsWith(key) && leadsSomewhere(value[key], name.slice(key.length)),
  );
  return inside || !/[.[]/.test(name);
}

void calledWorkflows; void leadsSomewhere; void junk;
const needed = ['name', 'items', 'max', 'limit', 'key', 'image', 'message', 'schema', 'steps', 'as', 'value'];
let t=performance.now();
const specs=fc.sample(fc.tuple(workflowOf((sound) => sound, ...needed), fc.dictionary(word, workflowOf((sound) => sound, ...needed), { maxKeys: 2 })),200);
console.log('gen', performance.now()-t);
t=performance.now();let empty=0; const seen=new Map<string,number>();
for(const [s,w] of specs){ const p=validateWorkflow(s,{workflows:w}); if(p.length===0)empty++; for(const x of p){const k=x.message.replace(/[0-9]+/g,'#').replace(/\b[abcde]\b/g,'@').slice(0,70); seen.set(k,(seen.get(k)??0)+1)}}
console.log('all', performance.now()-t, empty, seen);
