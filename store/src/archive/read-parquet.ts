// Reads an archive back as others would: every Parquet file under date=…, and nothing else. For tests.
import { zstdDecompressSync } from 'node:zlib';
import { parquetReadObjects } from 'hyparquet';
import type { ObjectStore } from '../blobs/objects.ts';

export async function rowsIn(sink: ObjectStore): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for await (const { name } of sink.list('')) {
    const [, date] = /^date=([\d-]+)\/[^/]+\.parquet$/.exec(name) ?? [];
    if (date === undefined) continue;
    const bytes = new Uint8Array(await sink.get(name));
    const found = await parquetReadObjects({
      file: bytes.buffer,
      compressors: { ZSTD: (input) => new Uint8Array(zstdDecompressSync(input)) },
    });
    for (const row of found) rows.push({ date, ...row });
  }
  return rows;
}
