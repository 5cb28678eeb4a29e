/** An expression that cannot be read, or that failed on the values it met. The message is for the workflow's author. */
export class ExpressionError extends Error {
  override name = 'ExpressionError';
}

/** An expression took too long or made too much. Unlike other errors it isn't absorbed by `||` and `&&`. */
export class ExpressionLimitError extends ExpressionError {
  override name = 'ExpressionLimitError';
}
