// What a run passes before it begins: the queue of its workflow, then those of the namespace's budgets.
import type { Failure, RunQueue } from '@kadre/crds';
import type { RunSubmission } from '@kadre/store';
import { TemplateError } from '../core/expression/template.ts';
import { valuesAt } from '../core/sight.ts';
import type { RunState } from '../core/state.ts';
import type { Applicant } from './admission.ts';
import type { World } from './world.ts';

/** `open`: the run has all the places that it needs. */
export type Passage = 'open' | { waitsIn: string } | { refused: Failure };

type OnConflict = 'queue' | 'cancel' | 'reject';

export class Entrance {
  readonly #world: World;
  readonly #applicant: Applicant;
  readonly #state: RunState;
  readonly #submission: RunSubmission;

  constructor(world: World, applicant: Applicant, state: RunState, submission: RunSubmission) {
    this.#world = world;
    this.#applicant = applicant;
    this.#state = state;
    this.#submission = submission;
  }

  /**
   * One place after the other, and what was taken is kept. Everybody takes them in the same order, so nobody waits for
   * somebody who waits for him. Idempotent.
   */
  async pass(): Promise<Passage> {
    const { concurrency } = this.#state.plan;
    if (concurrency) {
      const queue = this.#ownQueue(concurrency.key);
      if (typeof queue !== 'string') return { refused: queue };
      const passage = await this.#enter({ queue, limit: concurrency.limit }, concurrency.onConflict);
      if (passage !== 'open') return passage;
    }
    const { namespace } = this.#state.run;
    for (const queue of this.#world.budgetQueues(namespace, this.#submission.subject)) {
      const passage = await this.#enter(queue, 'queue');
      if (passage !== 'open') return passage;
    }
    return 'open';
  }

  async #enter({ queue, limit }: RunQueue, onConflict: OnConflict): Promise<Passage> {
    const { store, queues } = this.#world;
    const { uid, name } = this.#state.run;
    const { priority = 0 } = this.#submission;
    const { admitted, ahead } = await store.enterQueue({
      run: uid,
      queue,
      limit,
      priority,
      orLeave: onConflict === 'reject',
    });
    if (admitted) {
      queues.leave(this.#applicant);
      return 'open';
    }
    if (onConflict === 'reject') {
      const message = 'another run has the place: see concurrency in the workflow';
      return { refused: { reason: 'ConcurrencyConflict', message } };
    }
    if (onConflict === 'cancel') {
      for (const other of ahead) await store.cancelRun(other, `The run ${name} takes its place.`);
    }
    queues.join(queue, this.#applicant, priority);
    return { waitsIn: queue };
  }

  #ownQueue(key: { evaluate: (values: ReturnType<typeof valuesAt>) => string }): string | Failure {
    const { run, plan, frame } = this.#state;
    try {
      return `${run.namespace}/${plan.name}/${key.evaluate(valuesAt(this.#state, { scope: frame.main }))}`;
    } catch (error) {
      if (error instanceof TemplateError) return { reason: 'InvalidExpression', message: error.message };
      throw error;
    }
  }
}
