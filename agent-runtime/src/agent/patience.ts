// How long the gateway is waited for when it cannot be reached: the milliseconds between one attempt and the next.

/** Somebody waits for the answer and can ask again: a few seconds. */
export const interactive: readonly number[] = [100, 400, 1_600, 4_000];

/**
 * A step of a run: ten minutes. Giving up would fail work that only has to wait until the control plane is back, and how
 * long the step may take is for its timeout to say.
 */
export const stepWork: readonly number[] = [...interactive, 8_000, ...new Array<number>(40).fill(15_000)];

export async function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(ms, undefined, { signal });
}
