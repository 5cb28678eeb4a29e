import path from 'node:path';

/** The checkout's root. */
export const rootDirectory = path.resolve(import.meta.dirname, '..', '..');

/** What can be made again: built programs. Outlives clusters. */
export const cacheDirectory = path.join(rootDirectory, '.cache');

/** Everything that the node cluster writes; `down` removes it. */
export const clusterDirectory = path.join(rootDirectory, '.cluster');
