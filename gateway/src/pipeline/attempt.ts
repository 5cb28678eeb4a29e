// One attempt at one Model: its place in the queue, what is reserved for it, the key, the provider, and what it cost.
import type { ProviderModel } from '@kadre/crds';
import { stepOfWorkflow, type UsageRecord } from '@kadre/store';
import type { Keys } from '../access/secrets.ts';
import {
  isContent,
  lengthOfContent,
  type Answer,
  type FinishEvent,
  type ModelEvent,
  type Usage,
} from '../conversation/answer.ts';
import type { EmbeddingAnswer } from '../conversation/embedding.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { clientGone, GatewayError, misconfigured } from '../errors.ts';
import type { Clock } from '../options.ts';
import { costNanoUsd, type PriceBook } from '../price/price.ts';
import type { Catalog } from '../providers/catalog.ts';
import { retryAfterMs, toGatewayError } from '../providers/failures.ts';
import { ProviderError, type ModelCall, type Provider } from '../providers/provider.ts';
import { addCharges, type Charge } from '../requests.ts';
import type { Call } from './call.ts';
import { estimatedUsage, estimateOf, soundUsage } from './estimate.ts';
import type { Attempt, AttemptTrace, CallTrace, Hooks, Lease, Outcome, Reservation } from './hooks.ts';

export interface AttemptServices {
  hooks: Hooks;
  keys: Keys;
  catalog: Catalog;
  prices: PriceBook;
  clock: Clock;
}

type Send<T> = (provider: Provider, call: Omit<ModelCall, 'request'>) => Promise<T>;

export class RunningAttempt {
  readonly #services: AttemptServices;
  readonly #attempt: Attempt;
  readonly #trace: AttemptTrace;
  readonly #model: ProviderModel;
  readonly #call: Call;
  #lease: Lease | undefined;
  #reservation: Reservation | undefined;
  #apiKey: string | undefined;
  #sentAt = 0;
  #firstContentMs: number | undefined;
  #status = 0;
  /** Whether the provider may charge for the attempt. */
  #charged = false;
  /** Characters that the model said. */
  #said = 0;
  #usage: Usage | undefined;
  #complete = false;
  #closed = false;

  constructor(services: AttemptServices, asked: Omit<Attempt, 'estimate'>, trace: CallTrace) {
    const { prices, clock } = services;
    const { call, candidate, request } = asked;
    this.#services = services;
    this.#call = call;
    this.#model = candidate.model;
    const estimate = estimateOf(request, prices.priceOf(candidate.model.spec, clock.now()));
    this.#attempt = { ...asked, estimate };
    this.#trace = trace.attempt(this.#attempt);
    call.record.model = candidate.model.metadata.name;
    call.record.provider = candidate.model.spec.provider;
  }

  /** Throws a {@link GatewayError}. */
  async generate(): Promise<Answer & { usage: Usage }> {
    const request = this.#chatRequest();
    const answer = await this.#run(request, (provider, call) =>
      provider.generate({ ...call, request: this.#capped(request) }),
    );
    this.#noteContent();
    for (const part of answer.parts) this.#said += lengthOfContent(part);
    this.#usage = answer.usage;
    this.#complete = true;
    return { ...answer, usage: await this.#settle() };
  }

  async embed(): Promise<EmbeddingAnswer & { usage: Usage }> {
    const { request } = this.#attempt;
    if (!('inputs' in request)) throw new Error('this is no request for vectors');
    const answer = await this.#run(undefined, async (provider, sent) => {
      if (provider.embed) return provider.embed({ ...sent, request });
      throw misconfigured('ModelFailed', `Model ${this.#model.metadata.name}: its provider has no embeddings.`);
    });
    this.#usage = answer.usage;
    this.#complete = true;
    return { ...answer, usage: await this.#settle() };
  }

  /** Resolves with the first content. What comes after ends in `usage` and `finish`, or throws a {@link GatewayError}. */
  async open(): Promise<AsyncGenerator<ModelEvent, void>> {
    const request = this.#chatRequest();
    const early: ModelEvent[] = [];
    const events = await this.#run(request, async (provider, call) => {
      const opened = provider.stream({ ...call, request: this.#capped(request) });
      for (;;) {
        const next = await opened.next();
        if (next.done) throw this.#brokenOff();
        early.push(next.value);
        if (isContent(next.value) || next.value.type === 'finish') return opened;
      }
    });
    this.#noteContent();
    const opened = this.#events(early, events);
    // Now it has begun, so `return` comes to its end even if nobody ever reads.
    await opened.next();
    return opened;
  }

  async *#events(early: ModelEvent[], rest: AsyncGenerator<ModelEvent, void>): AsyncGenerator<ModelEvent, void> {
    let finish: FinishEvent | undefined;
    try {
      yield { type: 'start' };
      for (const event of early) {
        if (event.type === 'finish') finish = event;
        else if (this.#note(event)) yield event;
      }
      for await (const event of rest) {
        if (event.type === 'finish') finish = event;
        else if (this.#note(event)) yield event;
      }
      if (!finish) throw this.#brokenOff();
      this.#complete = true;
    } catch (error) {
      throw await this.#fail(error);
    } finally {
      // Whoever reads may stop early; then this is the last chance. The provider is not to blame.
      if (!this.#complete && !this.#closed) {
        await rest.return();
        const { signal } = this.#call;
        await this.#fail(signal.aborted ? signal.reason : clientGone());
      }
    }
    yield { type: 'usage', usage: await this.#settle() };
    yield finish;
  }

  /** Whether the event is to be passed on. */
  #note(event: ModelEvent): boolean {
    if (event.type === 'usage') this.#usage = event.usage;
    else if (event.type === 'start') this.#usage = event.usage ?? this.#usage;
    else if (isContent(event)) this.#said += lengthOfContent(event);
    return event.type !== 'usage';
  }

  #noteContent(): void {
    this.#status = 200;
    this.#firstContentMs = this.#services.clock.now() - this.#sentAt;
    this.#trace.firstContent();
  }

  /** Some connections end silently when they are cut or aborted. */
  #brokenOff(): unknown {
    const { signal } = this.#call;
    if (signal.aborted) return signal.reason;
    return new ProviderError('interrupted', 'ended its answer before it was complete');
  }

  #chatRequest(): ModelRequest {
    const { request } = this.#attempt;
    if ('inputs' in request) throw new Error('this is a request for vectors');
    return request;
  }

  #capped(request: ModelRequest): ModelRequest {
    const limit = this.#reservation?.maxOutputTokens;
    const asked = request.sampling.maxTokens;
    if (limit === undefined || (asked !== undefined && asked <= limit)) return request;
    return { ...request, sampling: { ...request.sampling, maxTokens: limit } };
  }

  async #run<T>(request: ModelRequest | undefined, send: Send<T>): Promise<T> {
    try {
      const { hooks, catalog } = this.#services;
      const provider = catalog.provider(this.#model.spec.provider);
      if (request) provider.check(request, this.#model);
      const lease = hooks.limiter.acquire(this.#attempt);
      this.#lease = lease instanceof Promise ? await lease : lease;
      const reservation = hooks.budgets.reserve(this.#attempt);
      this.#reservation = reservation instanceof Promise ? await reservation : reservation;
      return await this.#withKey(provider, send);
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  async #withKey<T>(provider: Provider, send: Send<T>): Promise<T> {
    const { keys } = this.#services;
    this.#apiKey = await keys.of(this.#model);
    try {
      return await this.#send(provider, send);
    } catch (error) {
      if (!(error instanceof ProviderError) || error.status !== 401) throw error;
    }
    // The key may just have been rotated. A refused call cost nothing, so one more does no harm.
    const refused = this.#apiKey;
    this.#apiKey = await keys.of(this.#model, true);
    if (this.#apiKey === refused) throw new ProviderError('status', '', { status: 401 });
    return this.#send(provider, send);
  }

  async #send<T>(provider: Provider, send: Send<T>): Promise<T> {
    const { signal } = this.#call;
    signal.throwIfAborted();
    this.#charged = true;
    this.#sentAt = this.#services.clock.now();
    return send(provider, { model: this.#model, apiKey: this.#apiKey, signal, headers: this.#trace.headers() });
  }

  /** Settles a failed attempt, and says what to throw: the failure, or the worse one if that cannot be written down. */
  async #fail(error: unknown): Promise<GatewayError> {
    const { signal } = this.#call;
    const begun = this.#firstContentMs !== undefined || signal.aborted;
    if (error instanceof ProviderError) {
      const { fault, usage } = error;
      this.#charged &&= begun || usage !== undefined || fault === 'interrupted' || fault === 'malformed';
      this.#usage = usage ?? this.#usage;
      this.#status = error.status ?? this.#status;
    } else if (error instanceof GatewayError) {
      this.#charged &&= begun;
    }
    const failure = toGatewayError(error, this.#model, this.#apiKey);
    if (this.#closed) return failure;
    try {
      await this.#close(failure);
      return failure;
    } catch (worse) {
      return worse instanceof GatewayError ? worse : failure;
    }
  }

  /** Throws a {@link GatewayError}: an answer that cannot be accounted for is not given. */
  async #settle(): Promise<Usage> {
    return (await this.#close(undefined)).usage;
  }

  async #close(error: GatewayError | undefined): Promise<Charge> {
    this.#closed = true;
    const charge = this.#charge();
    let outcome = this.#outcome(error, charge);
    try {
      if (this.#charged) await this.#record(charge);
      else await this.#reservation?.cancel();
    } catch (cause) {
      const failure = notRecorded(cause);
      outcome = { ...outcome, error: failure };
      throw failure;
    } finally {
      this.#lease?.release(outcome);
      this.#trace.end(outcome, this.#charged ? charge.costNanoUsd : undefined);
    }
    return charge;
  }

  #outcome(error: GatewayError | undefined, { usage }: Charge): Outcome {
    const retryAfter =
      error?.retryAfter === undefined ? undefined : retryAfterMs(error.retryAfter, this.#services.clock);
    return {
      ...(error ? { error } : {}),
      status: this.#status,
      ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
      ...(this.#charged ? { usage } : {}),
      ...(this.#firstContentMs === undefined ? {} : { firstContentMs: this.#firstContentMs }),
      durationMs: this.#sentAt === 0 ? 0 : this.#services.clock.now() - this.#sentAt,
    };
  }

  async #record(charge: Charge): Promise<void> {
    const { record } = this.#call;
    record.charge = record.charge ? addCharges(record.charge, charge) : charge;
    await this.#reservation?.settle(this.#usageRecord(charge));
  }

  #usageRecord({ usage, costNanoUsd: cost }: Charge): UsageRecord {
    const { caller, id } = this.#call;
    const { number } = this.#attempt;
    return {
      id: number === 1 ? id : `${id}/${number}`,
      at: this.#services.clock.now(),
      namespace: caller.namespace,
      agent: caller.agent,
      model: this.#model.metadata.name,
      ...(caller.step
        ? { run: { uid: caller.step.run, step: stepOfWorkflow(caller.step), attempt: caller.step.attempt } }
        : {}),
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      costNanoUsd: cost,
    };
  }

  #charge(): Charge {
    const { inputTokens, price } = this.#attempt.estimate;
    const reported = this.#usage && soundUsage(this.#usage);
    const usage = this.#complete && reported ? reported : estimatedUsage(inputTokens, this.#said, reported);
    return {
      usage,
      counted: usage === reported ? 'provider' : 'estimate',
      costNanoUsd: price ? costNanoUsd(price, usage) : null,
    };
  }
}

const notRecorded = (cause: unknown): GatewayError =>
  new GatewayError(500, 'InternalError', 'What the call cost could not be recorded, so its answer is withheld.', {
    retry: false,
    cause,
  });
