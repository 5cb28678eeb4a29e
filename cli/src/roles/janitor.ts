import { decisionRecords } from '@kadre/engine';
import packageJson from '../../package.json' with { type: 'json' };
import { openControlPlaneStore } from '../control-plane-store.ts';
import { mayWrite } from '../fence.ts';
import { Janitor } from '../janitor.ts';
import { openPlace } from '../places.ts';
import type { StartRole } from '../role-thread.ts';

export const startJanitor: StartRole = async ({ config, fence, logger, registry }) => {
  const { archive, ...settings } = config.housekeeping;
  const opened = await openControlPlaneStore(config.store);
  const janitor = new Janitor({
    ...opened,
    settings,
    ...(archive && { archive: { sink: await openPlace(archive), describe: decisionRecords(packageJson.version) } }),
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
