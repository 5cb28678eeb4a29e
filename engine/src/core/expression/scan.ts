// Finds `$(…)` in a text.
import { ExpressionError } from './errors.ts';

export type Part = { text: string } | { expression: string };

/**
 * Splits a text into what stands for itself and what is an expression. `$$(` stands for `$(`. Parentheses may nest, and
 * those inside CEL's quotes don't count. Throws ExpressionError for an expression without an end.
 */
export function scan(source: string): Part[] {
  const parts: Part[] = [];
  let text = '';
  let at = 0;
  while (at < source.length) {
    const next = source.indexOf('$', at);
    if (next === -1) break;
    text += source.slice(at, next);
    if (source.startsWith('$$(', next)) {
      text += '$(';
      at = next + 3;
    } else if (source.startsWith('$(', next)) {
      const end = endOfExpression(source, next + 2);
      if (text !== '') parts.push({ text });
      parts.push({ expression: source.slice(next + 2, end) });
      text = '';
      at = end + 1;
    } else {
      text += '$';
      at = next + 1;
    }
  }
  text += source.slice(at);
  return text === '' && parts.length > 0 ? parts : [...parts, { text }];
}

/** The position of the `)` that closes an expression starting at `start`. */
function endOfExpression(source: string, start: number): number {
  let open = 1;
  for (let at = start; at < source.length; at++) {
    const character = source[at];
    if (character === '(') open++;
    else if (character === ')' && --open === 0) return at;
    else if (character === '"' || character === "'") at = endOfQuote(source, at);
  }
  throw new ExpressionError(`$( at character ${start - 1} has no closing ): write $$( for a literal $(`);
}

/** The position of the last character of the quoted text that starts at `start`. */
function endOfQuote(source: string, start: number): number {
  const mark = source[start] ?? '';
  const quote = source.startsWith(mark.repeat(3), start) ? mark.repeat(3) : mark;
  // The parser lets a backslash guard a quote even in r'…'.
  for (let at = start + quote.length; at < source.length; at++) {
    if (source[at] === '\\') at++;
    else if (source.startsWith(quote, at)) return at + quote.length - 1;
  }
  throw new ExpressionError(`the quote at character ${start + 1} is never closed`);
}

/** A text that stands for itself in a place where `$(…)` is read. */
export function escape(text: string): string {
  return text.replaceAll('$(', '$$$$(');
}
