// What is given on the command line, as data.
import { readFile } from 'node:fs/promises';
import { runLimits, type RunLimits } from '@kadre/crds';
import { parse } from 'yaml';
import { UsageError } from '../errors.ts';

type Fields = Record<string, unknown>;

/** `key=value`, cut at the first `=`. @throws {UsageError} without one */
export function pair(text: string, option: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`${option} ${text}: write ${option} name=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** JSON, or else the text itself. */
export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** @throws {UsageError} for what is no JSON */
export function strictJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new UsageError(`${what}: ${text.slice(0, 60)} is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

export interface InputOptions {
  /** `key=value`, or all of it as a JSON object. */
  input: readonly string[];
  /** A file of JSON or YAML; `-` is standard input. */
  inputFile?: string;
}

/**
 * The input of a run: that of the manifest, over it the file, over it single fields. Undefined if nothing is given.
 * @param schema of the workflow's input: a field that is a text stays one, even if it looks like a number
 */
export async function readInput(
  { input, inputFile }: InputOptions,
  base: unknown,
  schema: unknown,
  stdin: () => Promise<string>,
): Promise<unknown> {
  let value = base;
  if (inputFile !== undefined) value = await fromFile(inputFile, stdin);
  for (const text of input) {
    if (text.trimStart().startsWith('{')) {
      value = { ...fieldsOf(value), ...fieldsOf(strictJson(text, '--input')) };
      continue;
    }
    const [key, raw] = pair(text, '--input');
    value = { ...fieldsOf(value), [key]: fieldValue(raw, key, schema) };
  }
  return value;
}

function fieldValue(raw: string, key: string, schema: unknown): unknown {
  const property = fieldsOf(fieldsOf(schema)['properties'])[key];
  const value = jsonOrText(raw);
  return fieldsOf(property)['type'] === 'string' && typeof value !== 'string' ? raw : value;
}

async function fromFile(file: string, stdin: () => Promise<string>): Promise<unknown> {
  const text = await (file === '-' ? stdin() : readFile(file, 'utf8')).catch((error: unknown) => {
    throw new UsageError(
      `--input-file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  });
  try {
    return parse(text) as unknown;
  } catch (error) {
    throw new UsageError(`--input-file ${file}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''}`);
  }
}

/** @throws {UsageError} for a limit that there is none of, or with a wrong value */
export function readLimits(texts: readonly string[], base: RunLimits | undefined): RunLimits | undefined {
  if (texts.length === 0) return base;
  const pairs = texts.flatMap((text) => text.split(',')).map((text) => pair(text, '--limits'));
  const numbers = new Set(['tokens', 'steps']);
  const given = Object.fromEntries(pairs.map(([key, value]) => [key, numbers.has(key) ? Number(value) : value]));
  const parsed = runLimits.strict().safeParse({ ...base, ...given });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new UsageError(
    `--limits ${where}: ${issue?.message ?? 'wrong'}; there are duration=10m, costUsd=0.50, tokens=100000 and steps=50`,
  );
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
