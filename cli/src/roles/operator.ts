import { validateWorkflow } from '@kadre/engine';
import { connect, createOperator } from '@kadre/operator';
import { createToolbox } from '@kadre/tools';
import { openControlPlaneStore } from '../control-plane-store.ts';
import { mayWrite } from '../fence.ts';
import type { StartRole } from '../role-thread.ts';

export const startOperator: StartRole = async ({ config, fence, logger, registry }) => {
  const { store } = await openControlPlaneStore(config.store);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const { runtimeImage, sandboxImage, gatewayUrl, serverUrl, systemNamespace, clusterDomain } = config;
  const toolbox = createToolbox({ ...(clusterDomain !== undefined && { clusterDomain }) });
  const operator = createOperator({
    client,
    store,
    settings: {
      runtimeImage,
      gatewayUrl,
      systemNamespace,
      ...(sandboxImage !== undefined && { sandboxImage }),
      ...(serverUrl !== undefined && { serverUrl }),
      ...(clusterDomain !== undefined && { clusterDomain }),
    },
    validateWorkflow,
    // Loaded for the first rule: the gateway is much to keep in memory for one function.
    ruleProblem: async (rule) => (await import('@kadre/gateway')).ruleProblem(rule),
    toolbox,
    instance: config.identity,
    gate: () => mayWrite(fence),
    log: logger,
    metrics,
  });
  await operator.start();
  return {
    stop: async () => {
      await operator.stop();
      await toolbox.close();
      await connection.close();
      await store.close();
    },
  };
};
