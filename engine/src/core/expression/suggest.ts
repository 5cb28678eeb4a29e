// What somebody may have meant who wrote a name that is none.

/** `: did you mean draft?`, or an empty text if nothing is close. */
export function meant(written: string, names: Iterable<string>): string {
  const name = closest(written, names);
  return name === undefined ? '' : `: did you mean ${name}?`;
}

/** The name that takes the fewest slips of the keyboard to become `written`; undefined if it takes too many. */
export function closest(written: string, names: Iterable<string>): string | undefined {
  let best: string | undefined;
  let fewest = written.length < 3 ? 1 : written.length < 5 ? 2 : 3;
  for (const name of names) {
    if (Math.abs(name.length - written.length) >= fewest) continue;
    const slips = distance(written.toLowerCase(), name.toLowerCase());
    if (slips < fewest) [best, fewest] = [name, slips];
  }
  return best;
}

/** Letters added, left out, replaced or swapped with their neighbour. */
function distance(one: string, other: string): number {
  const width = other.length + 1;
  const rows: number[][] = [Array.from({ length: width }, (_, i) => i)];
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j < width; j++) {
      const same = one[i - 1] === other[j - 1];
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row.push(
        Math.min(
          cell(rows, i - 1, j) + 1,
          (row[j - 1] ?? 0) + 1,
          cell(rows, i - 1, j - 1) + (same ? 0 : 1),
          swapped ? cell(rows, i - 2, j - 2) + 1 : Infinity,
        ),
      );
    }
    rows.push(row);
  }
  return cell(rows, one.length, other.length);
}

const cell = (rows: number[][], i: number, j: number): number => rows[i]?.[j] ?? 0;
