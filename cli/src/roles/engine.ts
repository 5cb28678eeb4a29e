import { startEngine as start } from '@kadre/engine';
import { connect, createKubeSources } from '@kadre/operator';
import { openSqliteStore } from '@kadre/store';
import type { StartRole } from '../role-thread.ts';

export const startEngine: StartRole = async ({ config, logger, registry }) => {
  const store = openSqliteStore(config.storePath);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const sources = createKubeSources({ client, metrics, instance: config.identity, log: logger });
  // Before the agents are known, each of them would seem not to be there.
  await sources.start();
  const stopping = new AbortController();
  const engine = await start({ store, agents: sources.agents, logger, signal: stopping.signal });
  return {
    stop: async () => {
      stopping.abort();
      await engine.stopped;
      await sources.stop();
      await connection.close();
      await store.close();
    },
  };
};
