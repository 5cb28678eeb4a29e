import { expect, test } from '@jest/globals';
import { waitsFor, WaitingRuns } from './waiting.ts';

test('what comes wakes the runs that wait for it, until they wait no more', () => {
  const waiting = new WaitingRuns();
  const writer = waitsFor.agent('team', 'writer');
  waiting.expect('team/a', writer);
  waiting.expect('team/b', writer);
  waiting.expect('team/a', waitsFor.workflow('team', 'article'));
  expect(waiting.for(writer)).toEqual(['team/a', 'team/b']);

  waiting.forget('team/a');
  expect(waiting.for(writer)).toEqual(['team/b']);
  expect(waiting.for(waitsFor.workflow('team', 'article'))).toEqual([]);
  expect(waiting.for(waitsFor.workflow('other', 'article'))).toEqual([]);
});
