// What the providers with an SDK have in common: a client for each address and key, and the name of the model.
import { BoundedMap } from '../bounded-map.ts';
import { misconfigured } from '../errors.ts';
import type { ModelCall } from './provider.ts';

const CLIENTS = 256;

/**
 * Finds the client of a call, or makes it: the same address and key have the same one, and with it its connections.
 *
 * @param defaultUrl the provider's own address; null if each Model has to name one
 */
export function sdkClients<Client>(
  defaultUrl: string | null,
  make: (baseUrl: string, apiKey: string | undefined) => Client,
): (call: ModelCall) => Client {
  const clients = new BoundedMap<string, Client>(CLIENTS);
  return ({ model, apiKey }) => {
    const baseUrl = model.spec.baseUrl ?? defaultUrl;
    if (baseUrl === null) throw misconfigured('ModelFailed', `Model ${model.metadata.name} needs spec.baseUrl.`);
    const id = `${baseUrl}\n${apiKey ?? ''}`;
    const known = clients.get(id);
    if (known) return known;
    const client = make(baseUrl, apiKey);
    clients.set(id, client);
    return client;
  };
}

/** The provider's name for the model. Throws a GatewayError if the Model does not say it. */
export function upstreamModel({ model }: ModelCall): string {
  if (model.spec.model === undefined)
    throw misconfigured('ModelFailed', `Model ${model.metadata.name} needs spec.model.`);
  return model.spec.model;
}
