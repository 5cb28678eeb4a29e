import { Bench } from '../testing/bench.ts';
import { describeEngineOn } from '../testing/engine-suite.ts';

describeEngineOn('the embedded store', () => Bench.make());
