// Another agent may work for hours, and wait for people. Connections over which nothing comes are taken for dead, so blanks are
// sent meanwhile: JSON may begin with any number of them.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';

const EVERY_MS = 15_000;

/** What the call comes to: undefined if it has been sent already. Before the first blank, an error still has its status. */
export async function longAnswer<T extends object>(
  { record }: FastifyRequest,
  reply: FastifyReply,
  clock: Clock,
  work: () => Promise<T>,
  firstMs = EVERY_MS,
): Promise<T | undefined> {
  let cancel: () => void;
  const blank = (): void => {
    if (!reply.raw.headersSent) {
      reply.hijack();
      reply.raw.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
    }
    reply.raw.write(' ');
    cancel = clock.after(EVERY_MS, blank);
  };
  cancel = clock.after(firstMs, blank);
  try {
    const answer = await work();
    if (!reply.raw.headersSent) return answer;
    reply.raw.end(JSON.stringify(answer));
  } catch (error) {
    if (!reply.raw.headersSent) throw error;
    // Who loses the connection asks again, and is told then.
    if (error instanceof GatewayError) record.fail(error);
    reply.raw.destroy();
  } finally {
    cancel();
  }
  return undefined;
}
