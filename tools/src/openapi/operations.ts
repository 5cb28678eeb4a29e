// What an OpenAPI document offers, and how each of it is asked for.
import type { Operation } from '../contract.ts';
import { argumentsComplaint } from '../schema-bounds.ts';
import { DocumentError, isObject, resolved, standalone, type Document, type Json } from './schemas.ts';

export interface Parameter {
  /** Of the argument; differs from `name` if two parameters share that. */
  argument: string;
  name: string;
  in: 'path' | 'query' | 'header';
  /** How lists and objects are written. */
  style: 'plain' | 'repeated' | 'deepObject' | 'json';
  separator: string;
}

export interface ApiOperation extends Operation {
  name: string;
  method: string;
  path: string;
  parameters: Parameter[];
  /** The media type of the body, if there is one; it is the argument `body`. */
  body?: string;
}

export interface Api {
  operations: ApiOperation[];
  leftOut: string[];
  title: string;
  /** As it stands there: it may be relative. */
  server: string | undefined;
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const;
const MAX_OPERATIONS = 256;
const JSON_TYPE = /^application\/(.*\+)?json(;|$)/i;
const BODY = 'body';
/** Made by whoever sends the request. */
const OWN_HEADERS = new Set([
  'accept',
  'content-type',
  'authorization',
  'host',
  'cookie',
  'content-length',
  'idempotency-key',
]);

/** @throws DocumentError if it is no OpenAPI 3 document */
export function readApi(root: unknown): Api {
  if (!isObject(root) || typeof root['openapi'] !== 'string' || !/^3\.\d/.test(root['openapi'])) {
    throw new DocumentError('it is not an OpenAPI document of version 3');
  }
  if (!isObject(root['paths'])) throw new DocumentError('it has no paths');
  const document: Document = { root, old: root['openapi'].startsWith('3.0') };
  const api: Api = { operations: [], leftOut: [], title: titleOf(root), server: serverOf(root) };
  for (const [path, item] of Object.entries(root['paths'])) {
    if (!isObject(item)) continue;
    for (const method of METHODS) {
      if (isObject(item[method])) addOperation(api, document, path, method, item);
    }
  }
  return api;
}

function addOperation(api: Api, document: Document, path: string, method: string, item: Json): void {
  const operation = item[method] as Json;
  const name = nameOf(operation, method, path);
  const leaveOut = (why: string) => api.leftOut.push(`${name}: ${why}`);
  if (api.leftOut.length >= MAX_OPERATIONS) return;
  if (api.operations.length >= MAX_OPERATIONS) {
    leaveOut(`there are more than ${MAX_OPERATIONS} operations`);
    return;
  }
  if (api.operations.some((other) => other.name === name)) {
    leaveOut('there is another operation of that name');
    return;
  }
  try {
    api.operations.push(readOperation(document, { name, method, path, operation, shared: item['parameters'] }));
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    leaveOut(error.message);
  }
}

interface Source {
  name: string;
  method: string;
  path: string;
  operation: Json;
  shared: unknown;
}

function readOperation(document: Document, { name, method, path, operation, shared }: Source): ApiOperation {
  if (Array.isArray(operation['servers'])) throw new DocumentError('it is served elsewhere, which is not supported');
  const properties: Json = {};
  const required: string[] = [];
  const parameters: Parameter[] = [];
  for (const one of parametersOf(document, shared, operation['parameters'])) {
    const read = readParameter(document, one, properties);
    if (!read) continue;
    parameters.push(read.parameter);
    properties[read.parameter.argument] = read.schema;
    if (read.required) required.push(read.parameter.argument);
  }
  checkPath(path, parameters);
  const body = readBody(document, operation['requestBody']);
  if (body) {
    properties[BODY] = body.schema;
    if (body.required) required.push(BODY);
  }
  const inputSchema = { type: 'object', properties, required, additionalProperties: false };
  const complaint = argumentsComplaint(inputSchema);
  if (complaint !== undefined) throw new DocumentError(complaint);
  const described = [operation['summary'], operation['description']].filter(
    (text) => typeof text === 'string' && text !== '',
  );
  return {
    name,
    description: described.length === 0 ? `${method.toUpperCase()} ${path}` : [...new Set(described)].join('. '),
    inputSchema,
    method: method.toUpperCase(),
    path,
    parameters,
    ...(body ? { body: body.type } : {}),
  };
}

/** Those of the operation go before those that all operations of a path share. */
function parametersOf(document: Document, shared: unknown, own: unknown): Json[] {
  const read = (list: unknown) => (Array.isArray(list) ? list.map((one) => resolved(document, one)) : []);
  const key = (one: Json) => `${String(one['in'])} ${String(one['name'])}`;
  const mine = read(own);
  const names = new Set(mine.map(key));
  return [...read(shared).filter((one) => !names.has(key(one))), ...mine];
}

function readParameter(document: Document, one: Json, taken: Json) {
  const { name, in: place, required, description, style, explode, content } = one;
  if (typeof name !== 'string' || name === '' || name === '__proto__')
    throw new DocumentError('a parameter has no name');
  const isRequired = required === true || place === 'path';
  if (place !== 'path' && place !== 'query' && place !== 'header') {
    if (isRequired) throw new DocumentError(`the parameter ${name} stands in ${String(place)}, which is not supported`);
    return undefined;
  }
  if (place === 'header' && OWN_HEADERS.has(name.toLowerCase())) return undefined;
  if (place === 'path' && style !== undefined && style !== 'simple') {
    throw new DocumentError(`the parameter ${name} is written in a style that is not supported`);
  }
  const media = isObject(content) ? Object.values(content)[0] : undefined;
  const schema = standalone(document, isObject(media) ? media['schema'] : one['schema']);
  const argument = Object.hasOwn(taken, name) || name === BODY ? `${place}_${name}` : name;
  const text = typeof description === 'string' && schema['description'] === undefined ? { description } : {};
  const parameter: Parameter = { argument, name, in: place, ...writingOf(place, style, explode, isObject(media)) };
  return { parameter, required: isRequired, schema: { ...schema, ...text } };
}

function writingOf(
  place: Parameter['in'],
  style: unknown,
  explode: unknown,
  isJson: boolean,
): Pick<Parameter, 'style' | 'separator'> {
  if (isJson) return { style: 'json', separator: '' };
  if (place !== 'query') return { style: 'plain', separator: ',' };
  if (style === 'deepObject') return { style: 'deepObject', separator: '' };
  if (style === 'spaceDelimited') return { style: 'plain', separator: ' ' };
  if (style === 'pipeDelimited') return { style: 'plain', separator: '|' };
  return explode === false ? { style: 'plain', separator: ',' } : { style: 'repeated', separator: '' };
}

function checkPath(path: string, parameters: readonly Parameter[]): void {
  if (!path.startsWith('/')) throw new DocumentError('its path does not begin with /');
  for (const [, name] of path.matchAll(/\{([^{}]*)\}/g)) {
    if (!parameters.some((one) => one.in === 'path' && one.name === name)) {
      throw new DocumentError(`nothing is said of {${name}} in its path`);
    }
  }
}

function readBody(document: Document, requestBody: unknown) {
  if (requestBody === undefined) return undefined;
  const { content, required } = resolved(document, requestBody);
  const [type, media] = Object.entries(isObject(content) ? content : {}).find(([key]) => JSON_TYPE.test(key)) ?? [];
  if (type !== undefined && isObject(media)) {
    return { type, required: required === true, schema: standalone(document, media['schema']) };
  }
  if (required === true) throw new DocumentError('its body is not JSON, which is not supported');
  return undefined;
}

function nameOf({ operationId }: Json, method: string, path: string): string {
  const name = typeof operationId === 'string' && operationId !== '' ? operationId : `${method}${path}`;
  return name
    .replace(/[^A-Za-z0-9_.-]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 128);
}

function titleOf({ info }: Json): string {
  const { title, version } = isObject(info) ? info : {};
  return [title, version]
    .filter((one) => typeof one === 'string')
    .join(' ')
    .slice(0, 253);
}

function serverOf({ servers }: Json): string | undefined {
  const first: unknown = Array.isArray(servers) ? servers[0] : undefined;
  if (!isObject(first) || typeof first['url'] !== 'string') return undefined;
  const variables = isObject(first['variables']) ? first['variables'] : {};
  return first['url'].replace(/\{([^{}]*)\}/g, (place, name: string) => {
    const variable = variables[name];
    return isObject(variable) && typeof variable['default'] === 'string' ? variable['default'] : place;
  });
}
