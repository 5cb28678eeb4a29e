// A Tool that is one HTTP endpoint.
import type { ToolSpec } from '@kadre/crds';
import type { ToolAnswer, ToolCallRequest } from '../contract.ts';
import { failure, type Clock, type Errand, type Executor } from '../executor.ts';
import { readAnswer } from '../net/answers.ts';
import type { Outlet } from '../net/outlet.ts';
import { signIn, type Auth } from '../net/sign-in.ts';
import { addToQuery, fieldsOf, fillPath, WrongArgumentError } from './path.ts';

type HttpSpec = NonNullable<ToolSpec['http']>;

export interface Exchange {
  method: string;
  url: URL;
  /** From the arguments of the call. */
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
}

export interface Target {
  headers?: readonly { name: string; value: string }[] | undefined;
  auth?: Auth | undefined;
}

export function httpExecutor(outlet: Outlet, clock: Clock): Executor {
  return {
    describe: ({ tool }) => {
      const { input, output } = specOf(tool.spec);
      const operation = { description: tool.spec.description ?? '', inputSchema: input.schema };
      return Promise.resolve({ operations: [{ ...operation, ...(output && { outputSchema: output.schema }) }] });
    },
    call: async (errand, request) => {
      const spec = specOf(errand.tool.spec);
      return await exchange(outlet, clock, errand, request, spec, () => toExchange(spec, request.args));
    },
  };
}

/** Asks a server that an administrator has named. Arguments that do not fit are told to the model. */
export async function exchange(
  outlet: Outlet,
  clock: Clock,
  { secret, maxBytes, signal }: Errand,
  request: ToolCallRequest,
  target: Target,
  make: () => Exchange,
): Promise<ToolAnswer> {
  let made: Exchange;
  try {
    made = make();
  } catch (error) {
    if (error instanceof WrongArgumentError) return failure(error.message);
    throw error;
  }
  const { method, url, headers, body } = made;
  const answer = await outlet.send({
    method,
    url,
    headers: {
      ...BASE_HEADERS,
      ...request.headers,
      ...headers,
      ...fixedHeaders(target.headers),
      ...(await signIn(target.auth, secret)),
      'idempotency-key': request.idempotencyKey,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    writtenBy: 'administrator',
    maxBytes,
    signal,
  });
  return readAnswer(answer, clock);
}

export const BASE_HEADERS = { 'user-agent': 'kadre', accept: 'application/json, text/*;q=0.9, */*;q=0.5' } as const;

export const fixedHeaders = (headers: Target['headers'] = []): Record<string, string> =>
  Object.fromEntries(headers.map(({ name, value }) => [name.toLowerCase(), value]));

function toExchange({ method, url: template }: HttpSpec, args: Record<string, unknown>): Exchange {
  const [origin, path] = splitAddress(template);
  const url = new URL(origin + fillPath(path, args));
  const inPath = new Set(fieldsOf(path));
  const others = Object.fromEntries(Object.entries(args).filter(([name]) => !inPath.has(name)));
  if (method !== 'GET' && method !== 'DELETE') return { method, url, body: others };
  addToQuery(url.searchParams, others);
  return { method, url };
}

/** Only the path may hold places, so no argument reaches the host. */
function splitAddress(template: string): [origin: string, path: string] {
  const slash = template.indexOf('/', template.indexOf('://') + 3);
  return slash < 0 ? [template, ''] : [template.slice(0, slash), template.slice(slash)];
}

function specOf({ http }: ToolSpec): HttpSpec {
  if (!http) throw new Error('only a Tool with http gets here');
  return http;
}
