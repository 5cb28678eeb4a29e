// The requests in flight, and the one line that each leaves in the log. A line holds ids and numbers: never a prompt, an
// answer, a token or a key.
import type { Logger } from 'pino';
import type { Caller } from './access/caller.ts';
import type { GatewayError, ErrorCode } from './errors.ts';
import type { Clock } from './options.ts';
import { addUsage, type Usage } from './conversation/answer.ts';

export interface Charge {
  usage: Usage;
  /** Who counted: the provider, or the gateway by the length of the texts. */
  counted: 'provider' | 'estimate';
  costNanoUsd: number | null;
}

/** Of several attempts together: an estimate or an unknown price in one of them makes it so for all. */
export const addCharges = (left: Charge, right: Charge): Charge => ({
  usage: addUsage(left.usage, right.usage),
  counted: left.counted === right.counted ? left.counted : 'estimate',
  costNanoUsd: left.costNanoUsd === null || right.costNanoUsd === null ? null : left.costNanoUsd + right.costNanoUsd,
});

/** What is known of a request by now. */
export interface RequestRecord {
  readonly id: string;
  readonly route: string;
  readonly startedAt: number;
  /** Of the trace that the request is a part of, if it is kept. */
  traceId?: string;
  caller?: Caller;
  /** Name of the Model, once it is known to be there. */
  model?: string;
  provider?: string;
  /** Name of the route that chose the Model, if one did. */
  routedBy?: string;
  streamed?: boolean;
  status: number;
  code?: ErrorCode;
  firstTokenMs?: number;
  /** How often Models were asked. */
  attempts?: number;
  replayed?: true;
  charge?: Charge;
  /** Keeps the record open until the returned function is called. */
  hold(): () => void;
  fail(error: GatewayError): void;
}

type Observer = (record: RequestRecord, durationMs: number) => void;

export interface Requests {
  open(id: string, route: string): RequestRecord;
  readonly size: number;
  /** Resolves when none is open. */
  idle(): Promise<void>;
  /** Sees each request when it is over. */
  observeWith(observer: Observer): void;
}

export function createRequests(logger: Logger, clock: Clock): Requests {
  const open = new Set<RequestRecord>();
  let waiting: (() => void)[] = [];
  let observe: Observer | undefined;

  const close = (record: RequestRecord): void => {
    open.delete(record);
    const durationMs = clock.now() - record.startedAt;
    observe?.(record, durationMs);
    logger[levelOf(record)](lineOf(record, durationMs), 'request');
    if (open.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };

  return {
    open: (id, route) => {
      const record = createRecord(id, route, clock.now(), logger, () => close(record));
      open.add(record);
      return record;
    },
    get size() {
      return open.size;
    },
    idle: () => (open.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    observeWith: (observer) => {
      observe = observer;
    },
  };
}

function createRecord(id: string, route: string, startedAt: number, logger: Logger, close: () => void): RequestRecord {
  let holds = 0;
  return {
    id,
    route,
    startedAt,
    status: 200,
    hold: () => {
      holds += 1;
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        holds -= 1;
        if (holds === 0) close();
      };
    },
    fail(error) {
      this.status = error.status;
      this.code = error.code;
      if (error.code !== 'InternalError') return;
      // The stack alone: other properties of foreign errors may hold requests with their headers.
      const stack = (error.cause as { stack?: unknown } | undefined)?.stack;
      logger.error(
        { requestId: id, stack: typeof stack === 'string' ? stack.slice(0, 4000) : undefined },
        error.message,
      );
    },
  };
}

function levelOf({ status, route }: RequestRecord): 'debug' | 'info' | 'warn' {
  if (status >= 500) return 'warn';
  return route === 'probe' ? 'debug' : 'info';
}

function lineOf(record: RequestRecord, durationMs: number): Record<string, unknown> {
  const { caller, charge } = record;
  return {
    requestId: record.id,
    traceId: record.traceId,
    route: record.route,
    status: record.status,
    code: record.code,
    durationMs,
    namespace: caller?.namespace,
    agent: caller?.agent,
    pod: caller?.pod,
    run: caller?.step?.run,
    step: caller?.step?.step,
    attempt: caller?.step?.attempt,
    model: record.model,
    routedBy: record.routedBy,
    provider: record.provider,
    streamed: record.streamed,
    firstTokenMs: record.firstTokenMs,
    attempts: record.attempts,
    replayed: record.replayed,
    inputTokens: charge?.usage.inputTokens,
    outputTokens: charge?.usage.outputTokens,
    costNanoUsd: charge?.costNanoUsd,
    counted: charge?.counted,
  };
}
