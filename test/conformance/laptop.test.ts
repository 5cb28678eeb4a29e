// Every pattern that needs nobody but the command itself, as `kadre run` plays it: on the clock of the wall, with the agents
// that it starts itself.
import { readCases } from './support/case.ts';
import { describeConformance } from './support/describe.ts';
import { forLaptop, startLaptop } from './support/laptop.ts';

const whole = new Map(readCases().map((one) => [one.name, one]));
const cases = [...whole.values()].flatMap((one) => forLaptop(one) ?? []);

describeConformance('by kadre run', cases, (one) => startLaptop(one, whole.get(one.name) ?? one));
