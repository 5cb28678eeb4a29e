/** Takes one line of progress, without a line break. */
export type Report = (line: string) => void;

/** How long ago `started` (milliseconds since the epoch) was, as `[1m05s]`. */
export function elapsed(started: number): string {
  const seconds = Math.floor((Date.now() - started) / 1000);
  return `[${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s]`;
}
