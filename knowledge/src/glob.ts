// Patterns of paths: * stands for any characters but /, and ** for any. A pattern takes no longer than its length times that of
// the path, whatever is in it.
export function matches(pattern: string, path: string): boolean {
  const tokens = pattern.match(/\*\*\/|\*\*|\*|[^*]/gsu) ?? [];
  const characters = Array.from(path);
  // All places in the pattern where the path so far may end.
  let places = reach(tokens, new Set([0]));
  for (const character of characters) {
    const next = new Set<number>();
    for (const place of places) {
      const token = tokens[place];
      if (token === character) next.add(place + 1);
      else if (token === '**' || (token === '*' && character !== '/')) next.add(place);
      else if (token === '**/') {
        next.add(place);
        if (character === '/') next.add(place + 1);
      }
    }
    if (next.size === 0) return false;
    places = reach(tokens, next, character);
  }
  return places.has(tokens.length);
}

/** A star may stand for nothing; and so may a folder, where one begins. */
function reach(tokens: readonly string[], places: Set<number>, before = '/'): Set<number> {
  // What is added while they are walked through is walked through as well.
  for (const place of places) {
    const token = tokens[place];
    if (token === '*' || token === '**' || (token === '**/' && before === '/')) places.add(place + 1);
  }
  return places;
}
