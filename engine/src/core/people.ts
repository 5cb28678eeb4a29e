import type { EventOf } from './events.ts';
import type { Attempt, Unit } from './state.ts';

/** People are asked on behalf of an attempt, or need not be any more. */
export function askPeople(
  unit: Unit,
  { asks, questions }: Attempt,
  { type, data }: EventOf<'StepAsked' | 'StepAnswered'>,
): void {
  if (type === 'StepAnswered') asks.delete(data.key);
  else {
    const { key, approval, expiresAt, question } = data;
    if (question) questions.set(question.id, question.number);
    asks.set(key, { approval, ...(expiresAt !== undefined && { expiresAt }) });
  }
  unit.phase = asks.size > 0 ? 'Waiting' : 'Running';
}
