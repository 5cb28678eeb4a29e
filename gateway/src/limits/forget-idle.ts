/** Drops the oldest entry that nobody uses just now, if there are more than `most`. */
export function forgetIdle(gates: Map<string, { readonly idle: boolean }>, most: number): void {
  if (gates.size <= most) return;
  for (const [key, gate] of gates) {
    if (!gate.idle) continue;
    gates.delete(key);
    return;
  }
}
