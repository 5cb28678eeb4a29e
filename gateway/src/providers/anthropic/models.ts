// What Anthropic's models can do, told by their names. New ones can do all of it, so only the old ones are listed.

/** Models that count their thoughts in tokens and do not know words for effort. */
const withoutEffort = /^claude-(3|(opus|sonnet)-4(-[01])?(-\d{8})?$|(sonnet|haiku)-4-5)/;

/** Models that cannot be held to a JSON Schema. */
const withoutSchemas = /^claude-(3|(opus|sonnet)-4(-0)?(-\d{8})?$)/;

export const takesEffort = (model: string): boolean => !withoutEffort.test(model);

export const takesSchemas = (model: string): boolean => !withoutSchemas.test(model);
