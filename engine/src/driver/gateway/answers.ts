// What a step's output is of what a tool answered, or a program did.
import { sizedOutput } from '@kadre/a2a';
import { codeResult, toolResult, type CodeFile, type ToolResult } from '@kadre/crds';
import type { Outcome } from '../../core/events.ts';
import type { Json } from '../../core/expression/values.ts';

const MAX_MESSAGE_CHARACTERS = 4096;
/** What is told of a program that failed: the end says why. */
const SAID_CHARACTERS = 1500;

/** Data as it is; of a text that is an object or a list in JSON what it says; else the text, and images beside it. */
export function toolOutcome(answer: unknown): Outcome {
  const result = toolResult.safeParse(answer);
  if (!result.success) return nonsense;
  const { content, isError, reason = 'ToolFailed', structured } = result.data;
  const text = textOf(content);
  if (isError) {
    const message = text.slice(0, MAX_MESSAGE_CHARACTERS) || 'the tool failed without saying why';
    return { failure: { reason, message } };
  }
  if (structured !== undefined) return sizedOutput(structured as Json);
  const images = content.flatMap((part) =>
    part.type === 'image' ? [{ data: part.data, mediaType: part.mediaType }] : [],
  );
  return sizedOutput(images.length > 0 ? { text, images } : dataIn(text));
}

function textOf(content: ToolResult['content']): string {
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

/** A lone number or word stays a text: a version such as 1.10 is no number. */
function dataIn(text: string): Json {
  if (!/^\s*[[{]/.test(text)) return text;
  return parsedOr(text, text);
}

function parsedOr(text: string, otherwise: Json): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return otherwise;
  }
}

/** `keep`: patterns of the paths of files that the output has. */
export function codeOutcome(answer: unknown, keep: readonly string[]): Outcome {
  const parsed = codeResult.safeParse(answer);
  if (!parsed.success) return nonsense;
  const result = parsed.data;
  if ('failure' in result) return { failure: { ...result.failure, message: cut(result.failure.message) } };
  const { exitCode, output, stdout, stderr, files } = result;
  if (exitCode !== 0) {
    const said = endOf(stderr) || endOf(stdout);
    const message = `the program ended with exit code ${exitCode}${said === '' ? '' : `: ${said}`}`;
    return { failure: { reason: 'CodeFailed', message } };
  }
  const kept = files.filter(({ path }) => keep.some((pattern) => fits(pattern, path)));
  return sizedOutput({
    result: output === undefined ? stdout.trim() : (output as Json),
    stdout,
    stderr,
    files: Object.fromEntries(kept.map(fileOf)),
  });
}

const nonsense: Outcome = {
  failure: { reason: 'InternalError', message: 'the gateway answered with what is no answer to such a step' },
};

const cut = (text: string): string => text.slice(0, MAX_MESSAGE_CHARACTERS);

function endOf(text: string): string {
  const trimmed = text.trim();
  return trimmed.length <= SAID_CHARACTERS ? trimmed : `…${trimmed.slice(-SAID_CHARACTERS)}`;
}

function fits(pattern: string, path: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(path);
}

const fileOf = ({ path, ...content }: CodeFile): [string, Json] => [path, content];
