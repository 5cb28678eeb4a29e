// Requests to addresses that the model chooses, among hosts that an administrator has named.
import { z } from 'zod';
import type { ToolAnswer, ToolCallRequest } from '../contract.ts';
import { failure, type Clock, type Errand, type Executor } from '../executor.ts';
import { readAnswer } from '../net/answers.ts';
import type { Outlet, OutletAnswer } from '../net/outlet.ts';
import { BASE_HEADERS } from '../http/endpoint.ts';
import { readArguments } from './arguments.ts';
import { partOf, type BuiltinSpec } from './builtin-spec.ts';
import { permits } from './hosts.ts';

type HttpPart = NonNullable<BuiltinSpec['http']>;
type Method = HttpPart['methods'][number];

const MAX_REDIRECTS = 5;
const MOVED = new Set([301, 302, 303, 307, 308]);

const inputFor = (methods: readonly Method[]) =>
  z
    .object({
      url: z.string().max(4096).describe('The whole address, with https:// or http://.'),
      method: z
        .enum(methods as [Method, ...Method[]])
        .default(methods[0] ?? 'GET')
        .describe('The HTTP method.'),
      body: z.string().max(1_000_000).optional().describe('What is sent with POST, PUT and PATCH.'),
      contentType: z
        .string()
        .max(127)
        .regex(/^[\w.+-]+\/[\w.+-]+(; ?charset=[\w-]+)?$/)
        .optional()
        .describe('Of the body. application/json if absent.'),
    })
    .strict();

interface Step {
  method: Method;
  url: URL;
  body: string | undefined;
}

export function httpFetcher(outlet: Outlet, clock: Clock): Executor {
  return {
    describe: ({ tool }) => {
      const { hosts, methods } = partOf(tool.spec, 'http');
      const description =
        tool.spec.description ?? `Fetches from ${hosts.join(', ')} over HTTP (${methods.join(', ')}).`;
      return Promise.resolve({
        operations: [{ description, inputSchema: z.toJSONSchema(inputFor(methods), { io: 'input' }) }],
      });
    },
    call: async (errand, request) => {
      const part = partOf(errand.tool.spec, 'http');
      const given = readArguments(inputFor(part.methods), request.args);
      if ('complaint' in given) return given.complaint;
      const { url, method, body, contentType = 'application/json' } = given.read;
      if (!URL.canParse(url)) return failure(`This is not an address: ${url.slice(0, 200)}`);
      if (body !== undefined && (method === 'GET' || method === 'DELETE')) return failure(`${method} sends no body.`);
      return await follow(outlet, clock, errand, request, part, { method, url: new URL(url), body }, contentType);
    },
  };
}

/** Each redirect is judged as if the model had written its target. */
async function follow(
  outlet: Outlet,
  clock: Clock,
  errand: Errand,
  request: ToolCallRequest,
  part: HttpPart,
  first: Step,
  contentType: string,
): Promise<ToolAnswer> {
  let step = first;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const writtenBy = permits(part.hosts, step.url);
    const complaint = complaintOf(step, part, writtenBy, hops > 0);
    if (complaint !== undefined || writtenBy === undefined) return failure(complaint ?? '');
    const answer = await outlet.send({
      method: step.method,
      url: step.url,
      headers: {
        ...BASE_HEADERS,
        ...request.headers,
        'idempotency-key': request.idempotencyKey,
        ...(step.body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(step.body === undefined ? {} : { body: step.body }),
      writtenBy,
      maxBytes: errand.maxBytes,
      signal: errand.signal,
    });
    const next = redirectOf(answer, step);
    if (next === undefined) return readAnswer(answer, clock);
    if (next === 'nowhere') return failure(`HTTP ${answer.status}: it redirects to what is not an address.`);
    if (step.url.protocol === 'https:' && next.url.protocol !== 'https:') {
      return failure(`It redirects from https to ${next.url.protocol.slice(0, 20)}//, which is not followed.`);
    }
    step = next;
  }
  return failure(`It redirects more than ${MAX_REDIRECTS} times.`);
}

function complaintOf(
  { url, method }: Step,
  part: HttpPart,
  permitted: unknown,
  redirected: boolean,
): string | undefined {
  const what = redirected ? `It redirects to ${url.host}, and that` : url.host;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'Only http and https are spoken.';
  if (url.username !== '' || url.password !== '') return 'An address with a user name or a password is not called.';
  if (permitted === undefined) return `${what} is not among the hosts that may be called: ${part.hosts.join(', ')}.`;
  if (!part.methods.includes(method))
    return `It redirects to a ${method} request, which is not among those that may be sent.`;
  return undefined;
}

/** As browsers do it: the answer to a request that was done is fetched; what moved is asked for again as it was. */
function redirectOf({ status, headers }: OutletAnswer, { method, url, body }: Step): Step | 'nowhere' | undefined {
  const location = headers['location'];
  if (!MOVED.has(status) || location === undefined) return undefined;
  if (!URL.canParse(location, url.href)) return 'nowhere';
  const target = new URL(location, url);
  const isFetched = status === 303 || (method === 'POST' && (status === 301 || status === 302));
  return isFetched ? { method: 'GET', url: target, body: undefined } : { method, url: target, body };
}
