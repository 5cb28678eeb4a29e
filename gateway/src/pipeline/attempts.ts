// The way to models that a strategy is given: each attempt is counted, and answers in a format are held to it.
import { replayed, type Answer, type ModelEvent, type Usage } from '../conversation/answer.ts';
import type { EmbeddingAnswer } from '../conversation/embedding.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { GatewayError } from '../errors.ts';
import { pause } from '../pause.ts';
import { RunningAttempt, type AttemptServices } from './attempt.ts';
import type { Call, ChatCall } from './call.ts';
import type { Attempt, Attempts, CallTrace, Candidate } from './hooks.ts';
import { formatCheck, type FormatCheck } from './output-format.ts';
import { preparedFor } from './prepared.ts';

export class CountedAttempts implements Attempts {
  readonly signal: AbortSignal;
  readonly #services: AttemptServices;
  readonly #call: Call;
  readonly #trace: CallTrace;
  readonly #max: number;
  #made = 0;

  constructor(services: AttemptServices, call: Call, trace: CallTrace, max: number) {
    this.#services = services;
    this.#call = call;
    this.#trace = trace;
    this.#max = max;
    this.signal = call.signal;
  }

  get left(): number {
    return this.#max - this.#made;
  }

  pause(ms: number): Promise<void> {
    return pause(ms, this.signal, this.#services.clock);
  }

  async generate(candidate: Candidate, request = this.#request(), signal?: AbortSignal): Promise<Answer> {
    const { asked, check } = await this.#prepare(candidate, request);
    const answer = await this.#attempt(candidate, asked, signal).generate();
    return check ? this.#held(candidate, asked, check, answer, signal) : answer;
  }

  async open(candidate: Candidate, request = this.#request()): Promise<AsyncGenerator<ModelEvent, void>> {
    const { asked, check, live } = await this.#prepare(candidate, request);
    if (!check) return this.#attempt(candidate, asked).open();
    if (live) return check.watch(await this.#attempt(candidate, asked).open());
    // Asked for in words, the format may come wrapped in others, or fail and be mended: none of it is to be seen.
    const answer = await this.#attempt(candidate, asked).generate();
    return replayed(await this.#held(candidate, asked, check, answer));
  }

  embed(candidate: Candidate): Promise<EmbeddingAnswer & { usage: Usage }> {
    return this.#attempt(candidate, this.#call.request).embed();
  }

  #request(): ModelRequest {
    return (this.#call as ChatCall).request;
  }

  #attempt(candidate: Candidate, request: Attempt['request'], signal?: AbortSignal): RunningAttempt {
    if (this.left <= 0) throw new GatewayError(503, 'ModelUnavailable', 'No attempt is left for this call.');
    this.#made += 1;
    this.#call.record.attempts = this.#made;
    const call = signal ? { ...this.#call, signal: AbortSignal.any([this.#call.signal, signal]) } : this.#call;
    const asked = { call, candidate, request, number: this.#made };
    return new RunningAttempt(this.#services, asked, this.#trace);
  }

  async #prepare(
    { model }: Candidate,
    request: ModelRequest,
  ): Promise<{ asked: ModelRequest; check?: FormatCheck; live?: boolean }> {
    const { asked, format } = preparedFor(model, request, this.#services.catalog);
    if (!format) return { asked };
    const { output, mode } = format;
    // A server that promises JSON is taken at its word; a schema is checked whoever promises it.
    if (mode === 'native' && output.type === 'json') return { asked };
    return { asked, check: await formatCheck(output, mode), live: mode === 'native' };
  }

  /** The answer, mended once if it does not match. Throws a 502 `InvalidOutput`. */
  async #held(
    candidate: Candidate,
    asked: ModelRequest,
    check: FormatCheck,
    first: Answer,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const checked = check.read(first);
    if ('answer' in checked) return checked.answer;
    if (this.left <= 0) throw check.failure(checked.problem);
    const again = check.mend(asked, first, checked.problem);
    const mended = check.read(await this.#attempt(candidate, again, signal).generate());
    if ('answer' in mended) return mended.answer;
    throw check.failure(mended.problem);
  }
}
