// Whether this replica shall get requests: it has reached the gateway, and has not lost it for long.
import { get as httpGet } from 'node:http';

export interface Readiness {
  /** Undefined when ready, else the reason why not. */
  obstacle(): string | undefined;
  /** Tells that the gateway has answered just now. */
  reached(): void;
  stop(): void;
}

export interface ReadinessOptions {
  /** Resolves when the gateway answers anything at all. */
  probe: () => Promise<void>;
  /** Milliseconds on a clock that never jumps. */
  now?: () => number;
  /** Calls back once after so many milliseconds; returns how to call it off. */
  schedule?: (callback: () => void, ms: number) => () => void;
}

const FIRST_PROBES_MS = [20, 50, 100, 200, 500, 1_000];
const PROBE_EVERY_MS = 10_000;
/**
 * A gateway that restarts must not take every agent out of its Service: an agent stays ready until the gateway has been
 * silent for this long, and callers get a typed failure meanwhile.
 */
const LOST_AFTER_MS = 60_000;
const PROBE_TIMEOUT_MS = 2_000;

/** Probes the gateway at once, then until it answers, then every now and then. A model call that got through counts as well. */
export function watchGateway({
  probe,
  now = () => performance.now(),
  schedule = scheduleTimer,
}: ReadinessOptions): Readiness {
  let lastReached: number | undefined;
  let failures = 0;
  let callOff = (): void => undefined;
  let stopped = false;

  const next = (): void => {
    if (stopped) return;
    const settled = lastReached !== undefined && failures === 0;
    callOff = schedule(look, settled ? PROBE_EVERY_MS : (FIRST_PROBES_MS[failures - 1] ?? 2_000));
  };
  const look = (): void => {
    if (lastReached !== undefined && now() - lastReached < PROBE_EVERY_MS / 2) {
      next();
      return;
    }
    void probe()
      .then(() => {
        lastReached = now();
        failures = 0;
      })
      .catch(() => (failures += 1))
      .finally(next);
  };
  look();

  return {
    obstacle: () => {
      if (lastReached === undefined) return 'the gateway has not been reached yet';
      const silent = now() - lastReached;
      return silent > LOST_AFTER_MS ? `the gateway has not answered for ${Math.round(silent / 1000)} s` : undefined;
    },
    reached: () => {
      lastReached = now();
      failures = 0;
    },
    stop: () => {
      stopped = true;
      callOff();
    },
  };
}

/** Any answer will do: it is about the way to the gateway, not about what the gateway thinks of the agent. */
export function probeGateway(gatewayUrl: string): () => Promise<void> {
  return async () => {
    const get = gatewayUrl.startsWith('https:') ? (await import('node:https')).get : httpGet;
    await new Promise<void>((resolve, reject) => {
      const request = get(`${gatewayUrl}/healthz`, { timeout: PROBE_TIMEOUT_MS, agent: false }, (response) => {
        response.resume();
        resolve();
      });
      request.once('timeout', () => request.destroy(new Error('timeout')));
      request.once('error', reject);
    });
  };
}

function scheduleTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
