// A Tool whose operations an OpenAPI document describes.
import type { ToolSpec } from '@kadre/crds';
import { createHash } from 'node:crypto';
import { failure, type Clock, type Errand, type Executor } from '../executor.ts';
import { BASE_HEADERS, exchange, fixedHeaders } from '../http/endpoint.ts';
import type { Outlet } from '../net/outlet.ts';
import { signIn } from '../net/sign-in.ts';
import { ToolError } from '../tool-error.ts';
import { parseDocument } from './document.ts';
import { readApi, type Api } from './operations.ts';
import { toExchange } from './requests.ts';
import { DocumentError } from './schemas.ts';

type OpenapiSpec = NonNullable<ToolSpec['openapi']>;

interface Kept {
  api: Promise<Api>;
  at: number;
}

const FRESH_MS = 300_000;
const LOAD_MS = 30_000;
const MAX_KEPT = 64;
const MAX_DOCUMENT = 4 * 1024 * 1024;

export function openapiExecutor(outlet: Outlet, clock: Clock): Executor {
  const kept = new Map<string, Kept>();

  const read = (errand: Errand, fresh: boolean): Promise<Api> => {
    const spec = specOf(errand.tool.spec);
    const { metadata } = errand.tool;
    // What one tenant's secret opened is not shown to another.
    const owner = [metadata.namespace, metadata.name, metadata.uid, spec];
    const key = createHash('sha256').update(JSON.stringify(owner)).digest('hex');
    const found = kept.get(key);
    if (found && !fresh && clock.now() - found.at < FRESH_MS) return found.api;
    const api = load(outlet, errand, spec);
    kept.delete(key);
    kept.set(key, { api, at: clock.now() });
    api.catch(() => {
      if (kept.get(key)?.api === api) kept.delete(key);
    });
    const oldest = kept.keys().next();
    if (kept.size > MAX_KEPT && !oldest.done) kept.delete(oldest.value);
    return api;
  };

  return {
    describe: async (errand) => {
      const api = await read(errand, true);
      baseUrlOf(specOf(errand.tool.spec), api);
      const operations = api.operations.map(({ name, description, inputSchema }) => ({
        name,
        description,
        inputSchema,
      }));
      return { operations, server: api.title, ...(api.leftOut.length === 0 ? {} : { leftOut: api.leftOut }) };
    },
    call: async (errand, request) => {
      const spec = specOf(errand.tool.spec);
      const api = await read(errand, false);
      const baseUrl = baseUrlOf(spec, api);
      const operation = api.operations.find(({ name }) => name === request.operation);
      if (!operation) return failure(`There is no operation ${request.operation ?? ''} (any more).`);
      return await exchange(outlet, clock, errand, request, spec, () => toExchange(baseUrl, operation, request.args));
    },
  };
}

/** Others may be waiting for the same document, so it is not the caller's signal that ends this. */
async function load(outlet: Outlet, errand: Errand, spec: OpenapiSpec): Promise<Api> {
  const signal = AbortSignal.timeout(LOAD_MS);
  try {
    return readApi(await parseDocument(spec.document ?? (await fetchDocument(outlet, { ...errand, signal }, spec))));
  } catch (error) {
    if (signal.aborted) throw new ToolError('timeout', 'The document does not come in time.', { retry: true });
    if (!(error instanceof DocumentError)) throw error;
    throw new ToolError('misconfigured', `The document cannot be used: ${error.message}.`, { cause: error });
  }
}

async function fetchDocument(outlet: Outlet, { secret, signal }: Errand, spec: OpenapiSpec): Promise<string> {
  const { status, body } = await outlet.send({
    method: 'GET',
    url: new URL(spec.url ?? ''),
    headers: { ...BASE_HEADERS, ...fixedHeaders(spec.headers), ...(await signIn(spec.auth, secret)) },
    writtenBy: 'administrator',
    maxBytes: MAX_DOCUMENT,
    signal,
  });
  if (status === 200) return body.toString();
  const fault =
    status >= 500 || status === 429 ? 'status' : status === 401 || status === 403 ? 'unauthorized' : 'misconfigured';
  throw new ToolError(fault, `The document is not at its url: HTTP ${status}.`, { retry: fault === 'status' });
}

/** A document from elsewhere must not send the Tool's secret to whom it likes. */
function baseUrlOf({ baseUrl, url }: OpenapiSpec, { server = '/' }: Api): string {
  if (baseUrl !== undefined) return baseUrl;
  if (!URL.canParse(server, url)) {
    throw new ToolError('misconfigured', 'The document does not say where the API answers: set baseUrl.');
  }
  const resolved = new URL(server, url);
  const clean =
    /^https?:$/.test(resolved.protocol) && resolved.username === '' && resolved.search === '' && resolved.hash === '';
  if (!clean) throw new ToolError('misconfigured', 'The server of the document is no plain HTTP address: set baseUrl.');
  if (url !== undefined && new URL(url).origin !== resolved.origin) {
    throw new ToolError(
      'misconfigured',
      `The document comes from ${new URL(url).host} and names a server on ${resolved.host.slice(0, 253)}: if that is right, write it into baseUrl.`,
    );
  }
  return resolved.href;
}

function specOf({ openapi }: ToolSpec): OpenapiSpec {
  if (!openapi) throw new Error('only a Tool with openapi gets here');
  return openapi;
}
