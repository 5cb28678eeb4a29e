// The nearest of all vectors, by looking at each of them: exact, and quick enough for tens of thousands. The vectors of what was
// searched lately stay in memory, all of one Knowledge in one piece.

export interface VectorRow {
  hash: string;
  vector: Float32Array;
}

export interface Near {
  hash: string;
  score: number;
}

interface Loaded {
  version: number;
  dimensions: number;
  hashes: string[];
  /** One after the other, each of length 1. */
  matrix: Float32Array;
}

/** Bytes of vectors that are kept in memory. The one that is searched is there, however large it is. */
const MOST_BYTES = 128 * 1024 * 1024;

export class ExactSearch {
  readonly #loaded = new Map<string, Loaded>();
  readonly #mostBytes: number;

  constructor(mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  /** @param version of the vectors under this key: they are read again when it is another one */
  nearest(key: string, version: number, read: () => VectorRow[], asked: Float32Array, limit: number): Near[] {
    return nearestIn(
      this.known(key, version, asked.length) ?? this.keep(key, version, asked.length, read()),
      asked,
      limit,
    );
  }

  known(key: string, version: number, dimensions: number): Loaded | undefined {
    const known = this.#loaded.get(key);
    if (known?.version !== version || known.dimensions !== dimensions) return undefined;
    // The one that was used last goes last.
    this.#loaded.delete(key);
    this.#loaded.set(key, known);
    return known;
  }

  keep(key: string, version: number, dimensions: number, rows: readonly VectorRow[]): Loaded {
    const loaded = loadedFrom(rows, version, dimensions);
    this.#loaded.delete(key);
    this.#loaded.set(key, loaded);
    let bytes = 0;
    for (const { matrix } of this.#loaded.values()) bytes += matrix.byteLength;
    for (const [other, { matrix }] of this.#loaded) {
      if (bytes <= this.#mostBytes || other === key) break;
      this.#loaded.delete(other);
      bytes -= matrix.byteLength;
    }
    return loaded;
  }
}

function loadedFrom(rows: readonly VectorRow[], version: number, dimensions: number): Loaded {
  const fitting = rows.filter(({ vector }) => vector.length === dimensions);
  const matrix = new Float32Array(fitting.length * dimensions);
  for (const [index, { vector }] of fitting.entries()) matrix.set(unit(vector), index * dimensions);
  return { version, dimensions, hashes: fitting.map(({ hash }) => hash), matrix };
}

export function nearestIn({ matrix, hashes, dimensions }: Loaded, asked: Float32Array, limit: number): Near[] {
  const towards = unit(asked);
  const best: Near[] = [];
  let least = -Infinity;
  for (let row = 0, at = 0; row < hashes.length; row += 1, at += dimensions) {
    let score = 0;
    for (let axis = 0; axis < dimensions; axis += 1) score += (matrix[at + axis] as number) * (towards[axis] as number);
    if (best.length === limit && score <= least) continue;
    const place = best.findIndex((one) => one.score < score);
    best.splice(place < 0 ? best.length : place, 0, { hash: hashes[row] as string, score });
    if (best.length > limit) best.pop();
    least = best.at(-1)?.score ?? -Infinity;
  }
  return best;
}

/** Of length 1; what has no direction is near to nothing. */
function unit(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length > 0 && Number.isFinite(length)
    ? vector.map((value) => value / length)
    : new Float32Array(vector.length);
}
