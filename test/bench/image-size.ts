// What a node has to pull.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Figure } from './report.ts';

/** Of the images that `make image` built last. */
export async function imageSize(): Promise<Figure[]> {
  const file = join(import.meta.dirname, '..', '..', '.cache', 'images', 'index.json');
  const { images } = JSON.parse(await readFile(file, 'utf8')) as { images: { ref: string; compressedBytes: number }[] };
  return images.map(({ ref, compressedBytes }) => ({
    what: `image ${ref}, compressed`,
    figure: `${(compressedBytes / 1e6).toFixed(1)} MB`,
    beside: 'to reach: 80 MB',
  }));
}
