// How long a call may go on.
import type { ServerResponse } from 'node:http';
import { callTimedOut, clientGone } from '../errors.ts';
import type { Clock, Limits } from '../options.ts';

/** Aborts when the client goes away, when time is up, or when the gateway closes for good; the reason is a GatewayError. */
export function startDeadline(
  { clock, limits, closing }: { clock: Clock; limits: Pick<Limits, 'callMs'>; closing: AbortSignal },
  response: ServerResponse,
): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const gone = (): void => {
    if (!response.writableFinished) controller.abort(clientGone());
  };
  const close = (): void => controller.abort(closing.reason);
  const cancel = clock.after(limits.callMs, () => controller.abort(callTimedOut(limits.callMs)));
  response.once('close', gone);
  closing.addEventListener('abort', close, { once: true });
  if (closing.aborted) close();
  return {
    signal: controller.signal,
    stop: () => {
      cancel();
      response.off('close', gone);
      closing.removeEventListener('abort', close);
    },
  };
}
