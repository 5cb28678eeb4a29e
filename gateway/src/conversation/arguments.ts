/** The arguments of a tool call as an object. What a model wrote wrongly is passed on as it is, in words. */
export function argumentsOf(text: string): object {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Below.
  }
  return { invalid_arguments: text };
}
