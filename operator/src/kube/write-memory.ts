import type { KubeObject } from './plan.ts';
import { isNewer } from './resource-version.ts';

/** Objects remembered; the oldest are forgotten, which costs one request that changes nothing. */
const capacity = 20_000;

interface Written {
  hash: string;
  resourceVersion: string;
}

/**
 * What we wrote last to each object, and which version that made. It spares writes while the cache has not caught up,
 * and writes over and over of what the API server stores in another form than it was sent.
 */
export class WriteMemory {
  private readonly written = new Map<string, Written>();

  /** @param live the answer to the write */
  remember(live: KubeObject, hash: string): void {
    const { uid, resourceVersion } = live.metadata;
    if (uid === undefined || resourceVersion === undefined) return;
    this.written.delete(uid);
    this.written.set(uid, { hash, resourceVersion });
    const [oldest] = this.written.keys();
    if (this.written.size > capacity && oldest !== undefined) this.written.delete(oldest);
  }

  /** Whether `cached` is the version that we made by the same write, or an older one. */
  covers(cached: { metadata: KubeObject['metadata'] }, hash: string): boolean {
    const { uid, resourceVersion } = cached.metadata;
    const last = uid === undefined ? undefined : this.written.get(uid);
    if (last?.hash !== hash || resourceVersion === undefined) return false;
    return resourceVersion === last.resourceVersion || isNewer(last.resourceVersion, resourceVersion);
  }
}
