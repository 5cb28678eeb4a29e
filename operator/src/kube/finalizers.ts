/**
 * The finalizers an object shall carry: those of others stay in their order, ours are exactly `desired`.
 * Undefined when nothing is to change.
 *
 * @param domain ours are those that start with `domain/`
 */
export function nextFinalizers(
  current: readonly string[] | undefined,
  desired: readonly string[],
  domain: string,
): string[] | undefined {
  const present = current ?? [];
  const kept = present.filter((each) => !each.startsWith(`${domain}/`) || desired.includes(each));
  const added = desired.filter((each) => !present.includes(each));
  const unchanged = kept.length === present.length && added.length === 0;
  return unchanged ? undefined : [...kept, ...added];
}
