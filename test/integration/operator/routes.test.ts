// What people see of routes over Models, on a real API server.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { conditionOf, eventually, KADRE, startBed, startMs, type Bed, type Ref } from './bed.ts';

let bed: Bed;
let namespace: string;

beforeAll(async () => {
  bed = await startBed();
  await bed.startOperator();
  namespace = await bed.namespace('routes');
}, startMs);
afterAll(() => bed.stop());

async function apply(name: string, spec: object): Promise<Ref> {
  await bed.apply({ apiVersion: KADRE, kind: 'Model', metadata: { name, namespace }, spec });
  return { apiVersion: KADRE, kind: 'Model', namespace, name };
}

/** Waits until the condition has this reason, and returns its message. */
async function says(ref: Ref, type: string, reason: string): Promise<string> {
  return eventually(`${ref.name} ${type} ${reason}`, async () => {
    const found = conditionOf(await bed.get(ref), type);
    return found?.reason === reason && found.message;
  });
}

test('a route follows the Models that it names, and says what is missing', async () => {
  const route = await apply('any', {
    route: { strategy: 'priority', candidates: [{ model: 'small' }, { model: 'large' }] },
  });
  expect(await says(route, 'Ready', 'ModelNotFound')).toMatch(/^Model small \(spec\.route\.candidates\[0\]\.model\)/);
  await apply('small', { provider: 'simulated' });
  expect(await says(route, 'Ready', 'Ready')).toMatch(
    /can call 1 of 2 Models\. Model large .* is not there: create it/,
  );
  await apply('large', { route: { strategy: 'priority', candidates: [{ model: 'small' }] } });
  await eventually('the second route', async () =>
    (await says(route, 'Complete', 'ModelNotFound')).includes('is a route itself'),
  );
});

test('a rule that is none stalls its route, and says why', async () => {
  const complexity = { rule: `prompt.size() > 'x' ? 'speed' : 'quality'` };
  const spec = { strategy: 'complexity', candidates: [{ model: 'small', path: 'speed' }], complexity };
  const route = await apply('sorted', { route: spec });
  expect(await says(route, 'Stalled', 'InvalidRule')).toMatch(/^spec\.route\.complexity\.rule cannot be used: /);
  await apply('sorted', { route: { ...spec, complexity: { rule: `prompt.size() > 9 ? 'speed' : 'quality'` } } });
  expect(await says(route, 'Ready', 'Ready')).toBe('The gateway can call 1 of 1 Models.');
});
