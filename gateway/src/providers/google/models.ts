// What Google's models can do, told by their names. New ones can do all of it, so only the old ones are listed.

const nameOf = (model: string): string => model.replace(/^models\//, '');

/** Models that are told a number of tokens to think with, not a level. */
export const countsThoughts = (model: string): boolean => /^gemini-(1|2)\b/.test(nameOf(model));

/** Models that refuse a call of a tool in the history that is not signed. */
export const wantsSignatures = (model: string): boolean =>
  /^gemini-/.test(nameOf(model)) && !/^gemini-(1|2)\b/.test(nameOf(model));

/** Models that cannot be held to a format and have tools at the same time. */
export const formatExcludesTools = (model: string): boolean => !wantsSignatures(model);
