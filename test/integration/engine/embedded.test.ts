import { Bench } from '../../../engine/src/testing/bench.ts';
import { describeCrashSweep } from '../../../engine/src/testing/crash-sweep.ts';

// More writes than a run makes here: with other timing there may be more of them.
describeCrashSweep(
  () => Bench.make(),
  Array.from({ length: 34 }, (_, i) => i + 1),
);
