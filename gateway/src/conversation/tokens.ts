/** Tokens in so many characters: about four each, which is near the truth for European languages. */
export const estimateTokens = (characters: number): number => Math.ceil(characters / 4);
