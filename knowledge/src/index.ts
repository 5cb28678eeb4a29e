export { refresh, type Refreshed, type Refresher, type RefreshRequest, type SourceTags } from './refresh.ts';
export { SourceError, type SourceProblem } from './source-error.ts';
export type { ConfigMap, ReadConfigMap } from './sources/config-map.ts';
export { oneLine } from './text.ts';
export { createWeb, type Web } from './web.ts';
