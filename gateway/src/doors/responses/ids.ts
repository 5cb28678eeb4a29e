// Ids of items that have none of the provider's.
const MADE_UP = '_kadre_';

export const itemId = (prefix: string, response: string, index: number): string =>
  `${prefix}${MADE_UP}${response}_${index}`;

/** Ids that the gateway made up mean nothing to a provider. */
export const isMadeUp = (id: string): boolean => id.includes(MADE_UP);
