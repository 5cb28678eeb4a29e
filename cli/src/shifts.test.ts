import { expect, test } from '@jest/globals';
import { shiftsOf, type CommandName } from './shifts.ts';

test.each<[string, CommandName, boolean, string[], string[], boolean]>([
  [
    'all roles on a file: engine and operator in the one that leads',
    'all',
    false,
    ['gateway', 'server'],
    ['engine', 'operator', 'janitor'],
    false,
  ],
  [
    'all roles on a database: only the operator is led, and who loses the lease goes on',
    'all',
    true,
    ['gateway', 'server', 'engine'],
    ['operator', 'janitor'],
    true,
  ],
  ['an operator takes part in the election', 'operator', true, [], ['operator', 'janitor'], false],
  ['an engine takes part in none', 'engine', true, ['engine'], [], false],
  ['nor does a gateway', 'gateway', true, ['gateway'], [], false],
  ['nor a server', 'server', true, ['server'], [], false],
])('%s', (_what, command, shared, always, leading, goesOn) => {
  expect(shiftsOf(command, shared)).toEqual({ always, leading, goesOn });
});
