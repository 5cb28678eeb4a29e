// Citations on the chat wire.
import type { Citation } from '@kadre/crds';
import type { ChatCompletion } from './chat.ts';
import { annotationsOf } from './citations.ts';

/** As OpenAI's models that search write them. `before`: how many characters of the answer come before the text. */
export const annotationsIn = (text: string, citations: readonly Citation[], before = 0): object[] =>
  annotationsOf(text, citations, before).map((one) => ({ type: 'url_citation', url_citation: one }));

export function annotated(completion: ChatCompletion, citations: readonly Citation[]): ChatCompletion {
  const [first, ...others] = completion.choices;
  if (!first || citations.length === 0) return completion;
  const annotations = annotationsIn(first.message.content ?? '', citations);
  return { ...completion, choices: [{ ...first, message: { ...first.message, annotations } }, ...others] };
}
