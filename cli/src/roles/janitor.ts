import type { ArchiveOptions } from '@kadre/store';
import packageJson from '../../package.json' with { type: 'json' };
import { openControlPlaneStore } from '../control-plane-store.ts';
import { mayWrite } from '../fence.ts';
import { Janitor } from '../janitor.ts';
import { openPlace, type Place } from '../places.ts';
import type { StartRole } from '../role-thread.ts';

export const startJanitor: StartRole = async ({ config, fence, logger, registry }) => {
  const { archive, ...settings } = config.housekeeping;
  const opened = await openControlPlaneStore(config.store);
  const janitor = new Janitor({
    ...opened,
    settings,
    ...(archive && { archive: await openArchive(archive) }),
    mayAct: () => mayWrite(fence),
    logger,
    registry,
  });
  janitor.start();
  return {
    stop: async () => {
      await janitor.stop();
      await opened.store.close();
    },
  };
};

async function openArchive(place: Place): Promise<ArchiveOptions> {
  // Most control planes have no archive, and need none of the engine in this thread.
  const { decisionRecords } = await import('@kadre/engine');
  return { sink: await openPlace(place), describe: decisionRecords(packageJson.version) };
}
