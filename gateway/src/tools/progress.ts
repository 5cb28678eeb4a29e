// What a tool prints while it is at work, for callers who want to hear of it: lines of JSON before the result. An answer
// without any is as it always is, with its status.
import { PROGRESS_TYPE, type ToolProgress } from '@kadre/crds';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';

/** So that a program that prints byte by byte makes no line of each. */
const EVERY_MS = 200;
/** The rest is in the result. */
const MOST_CHARACTERS = 65_536;

/** @returns what the call comes to; undefined if it has been sent already */
export async function withProgress<T extends object>(
  { record, headers }: FastifyRequest,
  reply: FastifyReply,
  clock: Clock,
  work: (progress?: (text: string) => void) => Promise<T>,
): Promise<T | undefined> {
  if (headers.accept?.includes(PROGRESS_TYPE) !== true) return work();
  const lines = new Lines(reply, clock);
  try {
    const answer = await work((text) => lines.add(text));
    if (!lines.begun) return answer;
    lines.flush();
    reply.raw.end(JSON.stringify(answer));
  } catch (error) {
    if (!lines.begun) throw error;
    // Who loses the connection asks again, or is told that it is not known what came of it.
    if (error instanceof GatewayError) record.fail(error);
    reply.raw.destroy();
  } finally {
    lines.stop();
  }
  return undefined;
}

class Lines {
  readonly #reply: FastifyReply;
  readonly #clock: Clock;
  #waiting = '';
  #left = MOST_CHARACTERS;
  #cancel: (() => void) | undefined;
  begun = false;

  constructor(reply: FastifyReply, clock: Clock) {
    this.#reply = reply;
    this.#clock = clock;
  }

  add(text: string): void {
    const taken = text.slice(0, this.#left);
    this.#left -= taken.length;
    this.#waiting += taken;
    if (taken !== '') this.#cancel ??= this.#clock.after(this.begun ? EVERY_MS : 0, () => this.#send());
  }

  flush(): void {
    this.stop();
    if (this.#waiting !== '') this.#send();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #send(): void {
    this.#cancel = undefined;
    if (!this.begun) {
      this.begun = true;
      this.#reply.hijack();
      this.#reply.raw.writeHead(200, { 'content-type': `${PROGRESS_TYPE}; charset=utf-8` });
    }
    this.#reply.raw.write(`${JSON.stringify({ progress: this.#waiting } satisfies ToolProgress)}\n`);
    this.#waiting = '';
  }
}
