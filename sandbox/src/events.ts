// Reads what a runner says, one JSON document a line, and believes no more of it than it may say.
import { SandboxFailure } from './failure.ts';
import {
  MAX_RETURNED_BYTES,
  sandboxEvent,
  type SandboxEnd,
  type SandboxLimits,
  type SandboxOutput,
} from './protocol.ts';

/** The most that JSON makes of one byte, as of a control character; and what a line of its own puts around it. */
const ESCAPED = 6;
const FRAMED = 32;
const AROUND = 1024 * 1024;

/**
 * @param chunks what the runner writes
 * @throws SandboxFailure 'Died' if it is rubbish, more than it may be, or over before the end was told
 */
export async function readEvents(
  chunks: AsyncIterable<Uint8Array>,
  limits: SandboxLimits,
  onOutput?: (piece: SandboxOutput) => void,
): Promise<SandboxEnd> {
  const returned = Math.min(limits.fileBytes, MAX_RETURNED_BYTES);
  const most = AROUND + FRAMED * limits.outputBytes + ESCAPED * (2 * limits.outputBytes + returned);
  for await (const line of linesOf(chunks, most)) {
    const event = eventOf(line);
    if ('end' in event) return event.end;
    onOutput?.(event);
  }
  throw new SandboxFailure('Died', 'The sandbox went away before its program had ended.');
}

function eventOf(line: string) {
  try {
    return sandboxEvent.parse(JSON.parse(line));
  } catch (error) {
    throw new SandboxFailure('Died', 'The sandbox said what no runner says, so it was stopped.', { cause: error });
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let total = 0;
  let parts: string[] = [];
  for await (const chunk of chunks) {
    total += chunk.byteLength;
    if (total > most) throw new SandboxFailure('Died', 'The sandbox said more than it may, so it was stopped.');
    const [rest = '', ...lines] = decoder.decode(chunk, { stream: true }).split('\n').reverse();
    if (lines.length === 0) {
      parts.push(rest);
      continue;
    }
    const first = parts.join('') + (lines.pop() ?? '');
    parts = [rest];
    yield first;
    yield* lines.reverse();
  }
}
