// A decision while it is made: what was weighed, who was asked, and what came of it.
import type { RouteModel } from '@kadre/crds';
import type { Decision } from '@kadre/store';
import type { Call } from '../pipeline/call.ts';
import type { Ranked } from './ranking.ts';

/** One attempt, as the decision remembers it. */
export interface Asked {
  model: string;
  /** Why it was asked: for an answer, or as the judge of some. */
  as: 'answer' | 'classifier' | 'judge' | 'synthesizer';
  /** Absent: it answered. */
  error?: string;
  durationMs: number;
  outputTokens?: number;
  characters?: number;
  /** USD × 10⁻⁹; null without a price. */
  costNanoUsd?: number | null;
}

export interface Vote {
  model: string;
  /** 0 to 10. */
  score: number;
  reason: string;
}

/** What a Decision of a route has as its alternatives. */
export interface Weighed {
  strategy: string;
  candidates: { model: string; score?: number; reason: string }[];
  /** Not asked at all, and why. */
  skipped: { model: string; reason: string }[];
  asked: Asked[];
  votes?: Vote[];
  notes: string[];
}

const MAX_TEXT = 500;
const MAX_ASKED = 64;

export class Draft {
  readonly weighed: Weighed;
  readonly #route: RouteModel;
  readonly #call: Call;
  /** Why, in a sentence; empty: because of the rank of the one that answered. */
  reason = '';
  /** Whose answer was chosen, and who wrote what the caller gets. Absent: whoever answered last. */
  chosen: string | undefined;
  answeredBy: readonly string[] | undefined;

  constructor(call: Call, route: RouteModel) {
    this.#call = call;
    this.#route = route;
    this.weighed = { strategy: route.spec.route.strategy, candidates: [], skipped: [], asked: [], notes: [] };
  }

  rank(ranked: readonly Ranked[]): void {
    this.weighed.candidates = ranked.map(({ model, score, reason }) => ({
      model: model.metadata.name,
      // Infinity is no JSON.
      ...(score === undefined || score === Infinity ? {} : { score: Math.round(score * 1000) / 1000 }),
      reason: short(reason),
    }));
  }

  skip(model: string, reason: string): void {
    this.weighed.skipped.push({ model, reason: short(reason) });
  }

  note(text: string): void {
    this.weighed.notes.push(short(text));
  }

  asked(asked: Asked): void {
    if (this.weighed.asked.length < MAX_ASKED) this.weighed.asked.push(asked);
  }

  vote(votes: readonly Vote[]): void {
    this.weighed.votes = votes.map(({ model, score, reason }) => ({ model, score, reason: short(reason) }));
  }

  /** `chosen`: absent if nobody answered. */
  decision(chosen: string | undefined, at: number): Decision {
    const { id, caller } = this.#call;
    const { step } = caller;
    return {
      id,
      at,
      kind: 'route',
      namespace: caller.namespace,
      agent: caller.agent,
      ...(step && { run: { uid: step.run, step: step.step, attempt: step.attempt } }),
      call: id,
      subject: this.#route.metadata.name,
      ...(chosen !== undefined && { chosen }),
      reason: short(this.reason || this.#reasonOf(chosen)),
      alternatives: this.weighed,
      version: String(this.#route.metadata.generation),
    };
  }

  #reasonOf(chosen: string | undefined): string {
    const { candidates, asked, notes } = this.weighed;
    if (chosen === undefined) return notes.at(-1) ?? 'no Model answered';
    const rank = candidates.find(({ model }) => model === chosen)?.reason ?? 'it answered';
    const failed = asked.flatMap(({ model, as, error }) => (as === 'answer' && error ? [`${model} (${error})`] : []));
    return failed.length === 0 ? rank : `${rank}, after ${failed.join(', ')} failed`;
  }
}

const short = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);
