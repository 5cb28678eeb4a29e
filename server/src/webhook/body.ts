// What a request says, as expressions see it.
import type { IncomingHttpHeaders } from 'node:http';
import type { Happening } from '@kadre/engine';
import type { WebhookTrigger } from '@kadre/crds';
import { Refusal } from '../refusal.ts';

type Json = Happening[string];

const MAX_DEPTH = 100;
const JSON_TYPE = /^application\/([-a-z0-9.]+\+)?json$/;
const FORM_TYPE = 'application/x-www-form-urlencoded';

/** Throws a 400 for a body that is broken, and a 415 for one of another type. No body at all is null. */
export function parseBody(headers: IncomingHttpHeaders, body: Buffer): Json {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw unsupported(`the content encoding ${encoding}`);
  const [type = '', ...parameters] = (headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  if (body.length === 0 && type === '') return null;
  const charset = parameters
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice(8)
    .replaceAll('"', '');
  if (charset !== undefined && !['utf-8', 'utf8', 'us-ascii'].includes(charset))
    throw unsupported(`the charset ${charset}`);
  if (type === FORM_TYPE) return firstOfEach(new URLSearchParams(textOf(body)));
  if (!JSON_TYPE.test(type))
    throw unsupported(type === '' ? 'a body without a content type' : `the content type ${type}`);
  return parseJson(textOf(body));
}

const unsupported = (what: string): Refusal =>
  new Refusal(
    415,
    'UnsupportedMediaType',
    `Nothing is known of ${what.slice(0, 200)}: send application/json or ${FORM_TYPE}, uncompressed, in UTF-8.`,
  );

const malformed = (message: string): Refusal => new Refusal(400, 'Malformed', message);

function textOf(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw malformed('The body is not UTF-8.');
  }
}

function parseJson(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw malformed('The body is not JSON.');
  }
  if (isDeeper(value, MAX_DEPTH)) throw malformed(`The body nests deeper than ${MAX_DEPTH} levels.`);
  return value;
}

/** Goes no deeper than it must, so that no body can exhaust the stack. */
function isDeeper(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

function firstOfEach(pairs: Iterable<[string, string]>): Record<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of pairs) if (!values.has(name)) values.set(name, value);
  return Object.fromEntries(values);
}

export function queryOf(url: string): Record<string, string> {
  const at = url.indexOf('?');
  return at < 0 ? {} : firstOfEach(new URLSearchParams(url.slice(at + 1)));
}

/** What proves who sends must not end up in the input of a run. */
export function headersFor({ auth }: WebhookTrigger, headers: IncomingHttpHeaders): Record<string, string> {
  const secret = new Set(['authorization', 'proxy-authorization', 'cookie', auth.hmac?.header.toLowerCase()]);
  const shown = Object.entries(headers).flatMap(([name, value]): [string, string][] =>
    secret.has(name) || value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
  );
  return Object.fromEntries(shown);
}
