// Reads JSON that somebody sent, field by field and once: what is wrong becomes a 400 that names the field. Doors read
// bodies of megabytes with it, so nothing is copied on the way. A field that is null counts as absent.
import { invalidRequest, type GatewayError } from '../errors.ts';

export class Fields {
  readonly path: string;
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #read = new Set<string>();

  /** @throws {GatewayError} 400 if `value` is no object */
  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'must be an object');
    this.#raw = value as Record<string, unknown>;
    this.path = path;
  }

  /** The value as it is; undefined if it is absent. */
  any(name: string): unknown {
    this.#read.add(name);
    return Object.hasOwn(this.#raw, name) ? (this.#raw[name] ?? undefined) : undefined;
  }

  string(name: string, maxLength = Infinity): string | undefined {
    const value = this.any(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw this.wrong(name, 'must be a string');
    if (value.length > maxLength) throw this.wrong(name, `must have at most ${maxLength} characters`);
    return value;
  }

  /** A string that must be there, and must say something. */
  required(name: string, maxLength = Infinity): string {
    const value = this.string(name, maxLength);
    if (value === undefined) throw this.wrong(name, 'is missing');
    if (value === '') throw this.wrong(name, 'must not be empty');
    return value;
  }

  number(name: string, min = -Infinity, max = Infinity): number | undefined {
    const value = this.any(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.wrong(name, 'must be a number');
    if (value < min || value > max) throw this.wrong(name, `must be ${range(min, max)}`);
    return value;
  }

  integer(name: string, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.number(name, min, max);
    if (value !== undefined && !Number.isInteger(value)) throw this.wrong(name, 'must be a whole number');
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.any(name);
    if (value !== undefined && typeof value !== 'boolean') throw this.wrong(name, 'must be true or false');
    return value;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.string(name);
    if (value === undefined) return undefined;
    const known = values.find((one) => one === value);
    if (known === undefined) throw this.wrong(name, `must be one of ${values.join(', ')}`);
    return known;
  }

  /** An object of any content, such as a JSON Schema. */
  record(name: string): Record<string, unknown> | undefined {
    const value = this.any(name);
    return value === undefined ? undefined : new Fields(value, this.at(name)).#raw;
  }

  object(name: string): Fields | undefined {
    const value = this.any(name);
    return value === undefined ? undefined : new Fields(value, this.at(name));
  }

  list(name: string, max: number): unknown[] | undefined {
    const value = this.any(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.wrong(name, 'must be a list');
    if (value.length > max) throw this.wrong(name, `must have at most ${max} entries`);
    return value as unknown[];
  }

  /** The entries of a list of objects. */
  objects(name: string, max: number): Fields[] | undefined {
    return this.list(name, max)?.map((value, index) => new Fields(value, `${this.at(name)}[${index}]`));
  }

  /** A string, or a list of strings, as a list. */
  strings(name: string, max: number): string[] | undefined {
    const value = this.any(name);
    if (typeof value === 'string') return [value];
    return this.list(name, max)?.map((one, index) => {
      if (typeof one === 'string') return one;
      throw wrong(`${this.at(name)}[${index}]`, 'must be a string');
    });
  }

  /** Fields that are there and that nobody has read. */
  rest(): Record<string, unknown> {
    const rest: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(this.#raw)) {
      if (!this.#read.has(name) && value !== null && value !== undefined) rest[name] = value;
    }
    return rest;
  }

  /** The object as it was sent. */
  get raw(): Readonly<Record<string, unknown>> {
    return this.#raw;
  }

  /** Where a field stands, such as messages[0].role */
  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  wrong(name: string, why: string): GatewayError {
    return wrong(this.at(name), why);
  }
}

function wrong(path: string, why: string): GatewayError {
  return path === '' ? invalidRequest(`The body ${why}.`) : invalidRequest(`${path} ${why}.`, path);
}

function range(min: number, max: number): string {
  if (max === Infinity || max === Number.MAX_SAFE_INTEGER) return `at least ${min}`;
  return min === -Infinity || min === Number.MIN_SAFE_INTEGER ? `at most ${max}` : `between ${min} and ${max}`;
}
