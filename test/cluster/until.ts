import { setTimeout as delay } from 'node:timers/promises';

/** Asks again until there is an answer. A test's own timeout ends a wait that is in vain. */
export async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await delay(50);
  }
}
