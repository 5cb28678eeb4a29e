// Which runs go into which file: said before the file is written, so that whoever comes after a crash, or at the same
// time, ends what was begun instead of archiving the same runs again. Numbers rise by one; of several archivers, one is
// the first to take the next number.
import { createHash } from 'node:crypto';
import type { ObjectStore } from '../blobs/objects.ts';

export interface Batch {
  /** Name of the Parquet file. */
  file: string;
  /** UIDs; none once the batch is done. */
  runs: string[];
}

/** Readers of Parquet pass over names that begin with an underscore. */
const FOLDER = '_batches';
const NAME = /^_batches\/(\d+)\.json$/;
/** No archiver sleeps through that many batches and then goes on; an entry that is older is of no use. */
const KEPT = 1_000;

/** Number and content of the last batch; number 0 if there was none. */
export async function lastBatch(sink: ObjectStore): Promise<{ number: number; batch: Batch | undefined }> {
  let number = 0;
  for await (const { name } of sink.list(FOLDER)) number = Math.max(number, Number(NAME.exec(name)?.[1] ?? 0));
  if (number === 0) return { number, batch: undefined };
  const text = new TextDecoder().decode(await sink.get(entry(number)));
  return { number, batch: JSON.parse(text) as Batch };
}

/** The batch, if nobody else took its number. `day`: on which its runs were closed. */
export async function beginBatch(
  sink: ObjectStore,
  number: number,
  day: string,
  runs: string[],
): Promise<Batch | undefined> {
  // The hash keeps files apart if somebody removes the log and numbers begin anew.
  const hash = createHash('sha256').update(JSON.stringify(runs)).digest('hex').slice(0, 12);
  const batch = { file: `date=${day}/kadre-${padded(number)}-${hash}.parquet`, runs };
  if (!(await sink.create(entry(number), json(batch)))) return undefined;
  await sink.delete(entry(number - KEPT));
  return batch;
}

export async function endBatch(sink: ObjectStore, number: number, batch: Batch): Promise<void> {
  await sink.put(entry(number), json({ ...batch, runs: [] }));
}

const padded = (number: number): string => String(number).padStart(12, '0');
const entry = (number: number): string => `${FOLDER}/${padded(number)}.json`;
const json = (batch: Batch): Uint8Array => new TextEncoder().encode(JSON.stringify(batch));
