// All providers, each loaded when it is first called: the SDKs are large, and most gateways need one of them.
import type { Provider as ProviderName } from '@kadre/crds';
import type { Clock, Limits } from '../options.ts';
import { createAnthropic } from './anthropic.ts';
import { createGoogle } from './google.ts';
import { createOpenAi } from './openai.ts';
import type { Provider } from './provider.ts';
import { createSimulated } from './simulated.ts';
import { createUpstream } from './upstream.ts';

export interface Catalog {
  provider(name: ProviderName): Promise<Provider>;
  close(): Promise<void>;
}

const OPENAI_BASE_URL = 'https://api.openai.com/v1';

export function createCatalog(clock: Clock, limits: Limits): Catalog {
  const upstream = createUpstream(limits);
  const loaded = new Map<ProviderName, Promise<Provider>>();
  const loaders: Record<ProviderName, () => Promise<Provider>> = {
    openai: () => createOpenAi(upstream, limits, OPENAI_BASE_URL),
    openaiCompatible: () => createOpenAi(upstream, limits, null),
    anthropic: () => createAnthropic(upstream, limits),
    google: () => createGoogle(upstream),
    simulated: () => Promise.resolve(createSimulated(clock, limits)),
  };
  return {
    provider: (name) => {
      const provider = loaded.get(name) ?? loaders[name]();
      loaded.set(name, provider);
      return provider;
    },
    close: () => upstream.close(),
  };
}
