// From the arguments of an operation to a request.
import type { Exchange } from '../http/endpoint.ts';
import { fillPath, plainText, WrongArgumentError } from '../http/path.ts';
import type { ApiOperation, Parameter } from './operations.ts';
import { isObject } from './schemas.ts';

/** @throws WrongArgumentError */
export function toExchange(
  baseUrl: string,
  operation: ApiOperation,
  args: Readonly<Record<string, unknown>>,
): Exchange {
  const given = operation.parameters.filter(({ argument }) => args[argument] !== undefined && args[argument] !== null);
  const of = (place: Parameter['in']) => given.filter((parameter) => parameter.in === place);
  const inPath = Object.fromEntries(of('path').map((one) => [one.name, joined(one, args[one.argument])]));
  const url = new URL(baseUrl.replace(/\/+$/, '') + fillPath(operation.path, inPath));
  for (const parameter of of('query')) addToQuery(url.searchParams, parameter, args[parameter.argument]);
  const headers = Object.fromEntries(
    of('header').map((one) => [one.name.toLowerCase(), headerValue(one, args[one.argument])]),
  );
  const body = operation.body === undefined ? {} : { body: args['body'] };
  return { method: operation.method, url, headers, ...(body.body === undefined ? {} : body) };
}

function addToQuery(query: URLSearchParams, parameter: Parameter, value: unknown): void {
  const { name, style } = parameter;
  if (style === 'repeated' && Array.isArray(value)) for (const one of value) query.append(name, plainText(one));
  else if (style === 'repeated' && isObject(value))
    for (const [key, one] of Object.entries(value)) query.append(key, plainText(one));
  else if (style === 'deepObject' && isObject(value)) {
    for (const [key, one] of Object.entries(value)) query.append(`${name}[${key}]`, plainText(one));
  } else query.append(name, joined(parameter, value));
}

function joined({ style, separator }: Parameter, value: unknown): string {
  if (style === 'json') return JSON.stringify(value);
  if (Array.isArray(value)) return value.map(plainText).join(separator);
  if (isObject(value) && style === 'plain')
    return Object.entries(value)
      .flatMap(([key, one]) => [key, plainText(one)])
      .join(separator);
  return plainText(value);
}

function headerValue(parameter: Parameter, value: unknown): string {
  const text = joined(parameter, value);
  if (/[^\x20-\x7e]/.test(text)) {
    throw new WrongArgumentError(`${parameter.argument} is sent as a header, so it must be plain ASCII in one line.`);
  }
  return text;
}
