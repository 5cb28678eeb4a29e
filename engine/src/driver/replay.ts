import type { RunProjection } from '@kadre/store';
import { project } from '../core/project.ts';
import { load, type LogSource } from './load.ts';

/** What the log of a run comes to, read from its beginning; carries nothing out. Undefined for an unknown run. */
export async function replayRun(
  store: LogSource,
  uid: string,
): Promise<Pick<RunProjection, 'status' | 'failure'> | undefined> {
  const loaded = await load(store, uid);
  if (!loaded) return undefined;
  const { failure } = loaded.state;
  return { status: project(loaded.state), ...(failure && { failure }) };
}
