// One call of one model: the key, the attempt, the abort, and what it costs.
import type { Model } from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { Caller } from '../access/caller.ts';
import type { Keys } from '../access/secrets.ts';
import { GatewayError, unavailable } from '../errors.ts';
import type { Clock } from '../options.ts';
import { costNanoUsd, priceOf } from '../price/price.ts';
import { toGatewayError } from '../providers/failures.ts';
import {
  ProviderError,
  type Answer,
  type ModelCall,
  type ModelEvent,
  type Provider,
  type Usage,
} from '../providers/provider.ts';
import { estimateTokens } from '../providers/tokens.ts';
import type { Charge, RequestRecord } from '../requests.ts';
import { textOf, type ChatRequest } from './request.ts';

export interface CallSetup {
  record: RequestRecord;
  caller: Caller;
  model: Model;
  request: ChatRequest;
  provider: Provider;
  keys: Keys;
  store: Pick<Store, 'recordUsage'>;
  clock: Clock;
  signal: AbortSignal;
}

export class Call {
  readonly #setup: CallSetup;
  #apiKey: string | undefined;
  /** Whether the provider may charge for the call. */
  #charged = false;
  /** Characters that the model said. */
  #said = 0;
  #usage: Usage | undefined;
  #complete = false;

  constructor(setup: CallSetup) {
    this.#setup = setup;
  }

  /** Throws a {@link GatewayError}. */
  generate(): Promise<Answer> {
    return this.#attempt(async (call) => {
      const answer = await this.#setup.provider.generate(call);
      this.#said = lengthOf(answer);
      this.#usage = answer.usage;
      this.#complete = true;
      return answer;
    });
  }

  /** Resolves with the first event, so that a refusal still becomes an HTTP status. Throws a {@link GatewayError}. */
  async open(): Promise<AsyncGenerator<ModelEvent, void>> {
    const { first, rest } = await this.#attempt(async (call) => {
      const events = this.#setup.provider.stream(call)[Symbol.asyncIterator]();
      const opened = await events.next();
      if (opened.done) throw this.#brokenOff();
      return { first: opened.value, rest: events };
    });
    return this.#events(first, rest);
  }

  async *#events(first: ModelEvent, rest: AsyncIterator<ModelEvent>): AsyncGenerator<ModelEvent, void> {
    let finished = false;
    try {
      for (let event: ModelEvent | undefined = first; event; event = await nextOf(rest)) {
        this.#note(event);
        finished ||= event.type === 'finish';
        yield event;
      }
      if (!finished) throw this.#brokenOff();
      this.#complete = true;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #note(event: ModelEvent): void {
    const { record, clock } = this.#setup;
    if (event.type === 'usage') this.#usage = event.usage;
    if (event.type === 'usage' || event.type === 'finish') return;
    record.firstTokenMs ??= clock.now() - record.startedAt;
    this.#said += event.type === 'tool' ? (event.call.arguments?.length ?? 0) : event.text.length;
  }

  /** Some SDKs end a stream silently when its connection is cut or aborted. */
  #brokenOff(): unknown {
    const { signal } = this.#setup;
    if (signal.aborted) return signal.reason;
    return new ProviderError('interrupted', 'ended its answer before it was complete');
  }

  async #attempt<T>(run: (call: ModelCall) => Promise<T>): Promise<T> {
    const { model, request, signal, keys } = this.#setup;
    this.#apiKey = await keys.of(model);
    try {
      return await this.#send(run, { model, request, signal, apiKey: this.#apiKey });
    } catch (error) {
      if (!(error instanceof ProviderError) || error.status !== 401) throw this.#failure(error);
    }
    // The key may just have been rotated. A refused call cost nothing, so one more does no harm.
    const refused = this.#apiKey;
    this.#apiKey = await keys.of(model, true);
    if (this.#apiKey === refused) throw this.#failure(new ProviderError('status', '', { status: 401 }));
    try {
      return await this.#send(run, { model, request, signal, apiKey: this.#apiKey });
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #send<T>(run: (call: ModelCall) => Promise<T>, call: ModelCall): Promise<T> {
    call.signal.throwIfAborted();
    this.#charged = true;
    try {
      return await run(call);
    } catch (error) {
      if (error instanceof ProviderError) {
        this.#charged = error.fault === 'interrupted' || error.fault === 'malformed';
        this.#usage = error.usage;
      } else if (error instanceof GatewayError && !call.signal.aborted) {
        this.#charged = false;
      }
      throw error;
    }
  }

  #failure(error: unknown): GatewayError {
    return toGatewayError(error, this.#setup.model, this.#apiKey);
  }

  /**
   * Writes down what the call cost, once; nothing if the provider did nothing. Throws a {@link GatewayError} if that
   * fails: an answer that cannot be accounted for is not given.
   */
  async settle(): Promise<Usage> {
    const { record, caller, model, store, clock } = this.#setup;
    const charge = record.charge ?? this.#charge();
    if (record.charge || !this.#charged) return charge.usage;
    record.charge = charge;
    const { usage } = charge;
    try {
      await store.recordUsage({
        id: record.id,
        at: clock.now(),
        namespace: caller.namespace,
        agent: caller.agent,
        model: model.metadata.name,
        ...(caller.step ? { run: { uid: caller.step.run, step: caller.step.step, attempt: caller.step.attempt } } : {}),
        inputTokens: usage.inputTokens,
        outputTokens: usage.outputTokens,
        costNanoUsd: charge.costNanoUsd,
      });
    } catch (error) {
      const message = 'What the call cost could not be recorded, so its answer is withheld.';
      throw new GatewayError(500, 'InternalError', message, { retry: false, cause: error });
    }
    return usage;
  }

  #charge(): Charge {
    const { model, request, clock } = this.#setup;
    const reported = this.#usage && soundUsage(this.#usage);
    const usage = this.#complete && reported ? reported : estimated(request, this.#said, reported);
    const price = priceOf(model.spec, clock.now());
    return {
      usage,
      counted: usage === reported ? 'provider' : 'estimate',
      costNanoUsd: price ? costNanoUsd(price, usage) : null,
    };
  }
}

/** `undefined` for counts that cannot be true: servers of one's own report all sorts of things, zeros above all. */
function soundUsage(usage: Usage): Usage | undefined {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens } = usage;
  const sound = Object.values(usage as unknown as Record<string, unknown>).every(
    (count) => Number.isSafeInteger(count) && (count as number) >= 0,
  );
  if (!sound || cachedInputTokens + cacheWriteTokens > inputTokens) return undefined;
  return inputTokens + outputTokens === 0 ? undefined : usage;
}

/** By the length of the texts, where the provider said nothing or, in an answer that broke off, too little. */
function estimated(request: ChatRequest, said: number, reported: Usage | undefined): Usage {
  const asked = request.messages.reduce((sum, message) => sum + textOf(message).length, 0);
  return {
    inputTokens: reported?.inputTokens ?? estimateTokens(asked),
    cachedInputTokens: reported?.cachedInputTokens ?? 0,
    cacheWriteTokens: reported?.cacheWriteTokens ?? 0,
    outputTokens: Math.max(reported?.outputTokens ?? 0, estimateTokens(said)),
    reasoningTokens: reported?.reasoningTokens ?? 0,
  };
}

async function nextOf(events: AsyncIterator<ModelEvent>): Promise<ModelEvent | undefined> {
  const next = await events.next();
  return next.done ? undefined : next.value;
}

const lengthOf = (answer: Answer): number =>
  (answer.text ?? '').length +
  (answer.refusal ?? '').length +
  answer.toolCalls.reduce((sum, call) => sum + call.arguments.length, 0);

export const callTimedOut = (ms: number): GatewayError =>
  new GatewayError(504, 'ModelUnavailable', `The model did not finish within ${Math.round(ms / 1000)} s.`);

/** 499 never reaches anybody: it is for the log. */
export const clientGone = (): GatewayError => new GatewayError(499, 'Cancelled', 'The client went away.');

export const shuttingDown = (): GatewayError => unavailable('The gateway is shutting down.', '1');
