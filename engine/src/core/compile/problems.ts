// Mistakes as they are found, in the order of the manifest.
import type { Report } from '../expression/template.ts';
import type { Problem } from '../plan.ts';

/** Whoever has made so many mistakes wants to mend some first; and nobody holds up the operator with a million. */
const MAX_PROBLEMS = 100;

/** So many mistakes are found that there is no point in looking further. */
export class EnoughProblems extends Error {}

export class Problems {
  readonly #all: (Problem | Problems)[] = [];
  readonly #found: { count: number };

  constructor(found = { count: 0 }) {
    this.#found = found;
  }

  /** Throws {@link EnoughProblems}. */
  readonly report: Report = (path, message) => {
    this.#found.count++;
    if (this.#found.count > MAX_PROBLEMS) throw new EnoughProblems();
    this.#all.push({ path, message });
  };

  /** A place for mistakes that may be found later than those which come after them. */
  part(): Problems {
    const part = new Problems(this.#found);
    this.#all.push(part);
    return part;
  }

  get list(): Problem[] {
    return this.#all.flatMap((one) => (one instanceof Problems ? one.list : [one]));
  }
}
