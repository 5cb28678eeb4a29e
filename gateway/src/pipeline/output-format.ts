// Answers in JSON: asked for in words where the provider cannot be held to them, checked in any case, mended once.
import { AnswerBuilder, textOfAnswer, type Answer, type AnswerPart, type ModelEvent } from '../conversation/answer.ts';
import type { ModelRequest, OutputFormat } from '../conversation/request.ts';
import { GatewayError } from '../errors.ts';
import type { FormatMode } from '../providers/provider.ts';
import { schemaCheck, type SchemaCheck } from './json-schema.ts';

export type JsonFormat = Exclude<OutputFormat, { type: 'text' }>;

export interface FormatCheck {
  /** The answer with nothing but JSON in its text, or what is wrong with it. */
  read(answer: Answer): { answer: Answer } | { problem: string };
  /** Passes a stream on, and throws before its end if it does not match. */
  watch(events: AsyncGenerator<ModelEvent, void>): AsyncGenerator<ModelEvent, void>;
  /** The conversation, gone on with by the wrong answer and what is wrong with it. */
  mend(request: ModelRequest, answer: Answer, problem: string): ModelRequest;
  failure(problem: string): GatewayError;
}

/** The request without its format, which is asked for in words instead. */
export function inWords(request: ModelRequest, output: JsonFormat): ModelRequest {
  const wanted =
    output.type === 'json' ? 'a JSON value' : `JSON that matches this JSON Schema: ${JSON.stringify(output.schema)}`;
  const text = `Answer with ${wanted}\nNothing may stand before or after it: no explanation, no code fence.`;
  return {
    ...request,
    output: { type: 'text' },
    messages: [{ role: 'system', parts: [{ type: 'text', text }] }, ...request.messages],
  };
}

/** Throws a 400 for a schema that is none. */
export async function formatCheck(output: JsonFormat, mode: FormatMode): Promise<FormatCheck> {
  const matches: SchemaCheck = output.type === 'json' ? () => undefined : await schemaCheck(output.schema);
  const read: FormatCheck['read'] = (answer) => {
    if (!isToBeChecked(answer)) return { answer };
    const said = textOfAnswer(answer) ?? '';
    const text = mode === 'instruction' ? withoutFence(said) : said;
    const problem = problemOf(text, matches);
    if (problem !== undefined) return { problem };
    return { answer: text === said ? answer : withText(answer, text) };
  };
  const failure = (problem: string): GatewayError =>
    new GatewayError(
      502,
      'InvalidOutput',
      `The model's answer does not match the format that was asked for: ${problem}`,
      {
        retry: false,
      },
    );
  return {
    read,
    failure,
    watch: async function* (events) {
      const builder = new AnswerBuilder();
      for await (const event of events) {
        builder.add(event);
        const { answer } = builder;
        const checked = answer && read(answer);
        if (checked && 'problem' in checked) throw failure(checked.problem);
        yield event;
      }
    },
    mend: (request, answer, problem) => ({
      ...request,
      messages: [
        ...request.messages,
        { role: 'assistant', parts: answer.parts },
        {
          role: 'user',
          parts: [
            {
              type: 'text',
              text: `This does not match the format that was asked for: ${problem}\nAnswer again, with the JSON alone.`,
            },
          ],
        },
      ],
    }),
  };
}

/** Calls of tools, refusals and answers that were cut say of themselves that they are no result. */
const isToBeChecked = ({ finish, parts }: Answer): boolean =>
  finish === 'stop' && parts.every(({ type }) => type !== 'toolCall' && type !== 'refusal');

function problemOf(text: string, matches: SchemaCheck): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON.';
  }
  return matches(value);
}

/** Models that are asked in words like to wrap the answer in a fence of Markdown. */
function withoutFence(text: string): string {
  return (/^\s*```[a-z]*\s*\n([\s\S]*?)\n?\s*```\s*$/i.exec(text)?.[1] ?? text).trim();
}

/** The text replaced, other parts as they are. */
function withText(answer: Answer, text: string): Answer {
  const first = answer.parts.findIndex(({ type }) => type === 'text');
  const parts = answer.parts.flatMap((part, index): AnswerPart[] => {
    if (part.type !== 'text') return [part];
    return index === first ? [{ ...part, text }] : [];
  });
  return { ...answer, parts };
}
