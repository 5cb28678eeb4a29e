// All providers.
import type { Provider as ProviderName } from '@kadre/crds';
import type { Clock, Limits } from '../options.ts';
import { createAnthropic } from './anthropic/anthropic.ts';
import { createGoogle } from './google/google.ts';
import { createOpenAi } from './openai/openai.ts';
import type { Provider } from './provider.ts';
import { createSimulated } from './simulated/simulated.ts';
import { createUpstream } from './upstream.ts';

export interface Catalog {
  provider(name: ProviderName): Provider;
  close(): Promise<void>;
}

export function createCatalog(clock: Clock, limits: Limits): Catalog {
  const upstream = createUpstream(limits);
  const providers: Record<ProviderName, Provider> = {
    openai: createOpenAi(upstream, 'openai'),
    openaiCompatible: createOpenAi(upstream, 'openaiCompatible'),
    anthropic: createAnthropic(upstream),
    google: createGoogle(upstream),
    simulated: createSimulated(clock, limits),
  };
  return { provider: (name) => providers[name], close: () => upstream.close() };
}
