// What is offered, in the words of the Model Context Protocol, whoever carries it out.
/* eslint-disable @typescript-eslint/no-deprecated -- the schemas are those of Workflows, as they stand */
import { Server, type CallToolResult, type ServerContext } from '@modelcontextprotocol/server';
import type { Offer } from './offers.ts';
import { problem, type Call, type Result } from './result.ts';

interface Offering {
  /** By name. */
  offers: () => Offer[];
  /** Such as: namespace team. */
  where: string;
  /** Counts a call; `false`: it was one too many. */
  mayCall: () => boolean;
  run: (call: Call) => Promise<Result>;
}

/** A client that names its call may lose the connection, and call again. */
const KEY = 'kadre.dev/idempotency-key';
const PAGE = 50;
const LONGEST_KEY = 256;

export function mcpServer({ offers, where, mayCall, run }: Offering): Server {
  const server = new Server({ name: 'kadre', version: '0.1.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', ({ params }) => pageOf(offers(), params?.cursor));
  server.setRequestHandler('tools/call', async ({ params }, { mcpReq }): Promise<CallToolResult> => {
    const offer = offers().find(({ name }) => name === params.name);
    if (!offer) return problem(`Nothing called ${params.name} is offered in ${where}.`);
    if (!mayCall()) return problem('Too many calls in this minute: call again later.');
    const spec = offer.runOf(params.arguments ?? {});
    if (typeof spec === 'string') return problem(spec);
    const named = mcpReq._meta?.[KEY];
    if (named !== undefined && (typeof named !== 'string' || named.length === 0 || named.length > LONGEST_KEY))
      return problem(`_meta["${KEY}"] must be a text of 1 to ${LONGEST_KEY} characters.`);
    const { name } = offer;
    return run({ name, spec, signal: mcpReq.signal, ...(named !== undefined && { named }), ...progressOf(mcpReq) });
  });
  return server;
}

/** Those after the cursor, which is the last name of the page before. */
function pageOf(offers: Offer[], cursor = '') {
  const rest = offers.filter(({ name }) => name > cursor);
  const page = rest.slice(0, PAGE);
  const last = page.at(-1);
  return {
    tools: page.map(({ name, description, inputSchema }) => ({ name, description, inputSchema })),
    ...(last && rest.length > PAGE && { nextCursor: last.name }),
  };
}

/** As many steps as are finished, if the client wants to hear of it. */
function progressOf(mcpReq: ServerContext['mcpReq']): { onProgress?: (progress: string) => void } {
  const token = mcpReq._meta?.['progressToken'];
  if (typeof token !== 'string' && typeof token !== 'number') return {};
  return {
    onProgress: (told) => {
      const [progress = 0, total = 0] = told.split('/').map(Number);
      const params = { progressToken: token, progress, total, message: `${told} steps` };
      mcpReq.notify({ method: 'notifications/progress', params }).catch(() => undefined);
    },
  };
}
