import { describeCrashSweep } from '../testing/crash-sweep.ts';
import { Bench } from '../testing/bench.ts';

// Every write is struck in the integration tests, on both stores.
const points = [1, 2, 4, 7, 11, 16, 22, 29];

describeCrashSweep(() => Bench.make(), points);
