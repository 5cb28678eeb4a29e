// What is known of a gateway in the end.
import type { Contender } from './contenders.ts';
import type { Compared, Held } from './load.ts';

export interface Holding extends Held {
  streams: number;
  /** That the gateway used for them. */
  cpuSeconds: number;
  /** MiB before and after. */
  memory: [before: number, after: number];
}

/** One entry a round. */
export interface Row extends Contender {
  added: Compared[];
  addedFirst: Compared[];
  /** Requests a second. */
  rates: number[];
  cpuMicros: number[];
  failures: string[];
  holdings: Holding[];
}

export interface Soak extends Fit {
  name: string;
  minutes: number;
  requests: number;
}

interface Fit {
  /** MiB at the begin and at the end of the line. */
  from: number;
  to: number;
  /** MiB a minute. */
  slope: number;
}

/** The straight line with the least squares. */
export function fitOf(samples: { minute: number; mebibytes: number }[]): Fit {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(samples.map(({ minute }) => minute));
  const y = mean(samples.map(({ mebibytes }) => mebibytes));
  const spread = samples.reduce((sum, { minute }) => sum + (minute - x) ** 2, 0);
  const slope = samples.reduce((sum, s) => sum + (s.minute - x) * (s.mebibytes - y), 0) / spread;
  const at = (minute = x) => y + slope * (minute - x);
  return { from: at(samples[0]?.minute), to: at(samples.at(-1)?.minute), slope };
}
