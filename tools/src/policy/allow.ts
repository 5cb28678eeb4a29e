// Which operations somebody may use: names in which * stands for any characters.

/** Whether one of the names is meant. Absent: all are. */
export function isAllowed(allow: readonly string[] | undefined, operation: string): boolean {
  return allow === undefined || allow.some((name) => fits(name.split('*'), operation));
}

/** Whether the pieces come in this order, the first at the beginning and the last at the end. */
function fits(pieces: readonly string[], text: string): boolean {
  const [first = '', ...others] = pieces;
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const piece of others) {
    const found = text.indexOf(piece, at);
    if (found === -1 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}
