// The Go programs that the later layers need. Building them takes about ten minutes the first time, so it starts at once, and
// goes on beside the checks that need none of them.
import { ensureBinaries } from '../../test/cluster/binaries.ts';
import { ensureHelm } from '../../test/packaging/helm.ts';
import { ensureOpa } from '../../test/support/opa.ts';

export interface Builds {
  /** From now on the progress is shown. Resolves when all is built; rejects with what went wrong. */
  wait(): Promise<void>;
}

export function startBuilds(): Builds {
  let shown = false;
  const report = (line: string) => {
    if (shown) console.log(line);
  };
  const building = ensureBinaries(report)
    .then(() => ensureHelm(report))
    .then(() => ensureOpa(report));
  // Told to whoever waits; until then it is not an error that nobody looks at.
  building.catch(() => undefined);
  return {
    wait: async () => {
      shown = true;
      await building;
    },
  };
}
