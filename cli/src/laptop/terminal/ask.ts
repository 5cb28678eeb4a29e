// Questions to whoever sits at the terminal.
import { createInterface } from 'node:readline/promises';
import { schemaProblem } from '@kadre/engine';
import { jsonOrText } from '../run/input.ts';
import type { Terminal } from './terminal.ts';

export interface Asked {
  /** What is said before the question. */
  lines: readonly string[];
  signal: AbortSignal;
  /** Ctrl-C. */
  interrupted: () => void;
}

export interface Verdict {
  approved: boolean;
  answer?: unknown;
}

type Schema = Record<string, unknown>;
type Question = (text: string) => Promise<string | undefined>;

/** Undefined if nobody wants to decide now. */
export function askApproval(terminal: Terminal, asked: Asked, form: Schema | undefined): Promise<Verdict | undefined> {
  return asking(terminal, asked, async (question) => {
    for (;;) {
      const reply = (await question('Approve? [y]es, [n]o: '))?.trim().toLowerCase();
      if (reply === undefined) return undefined;
      if (reply === 'n' || reply === 'no') return { approved: false };
      if (reply !== 'y' && reply !== 'yes') continue;
      if (!form) return { approved: true };
      const answer = await fillIn(form, question, (text) => void terminal.streams.stderr.write(`${text}\n`));
      return answer === undefined ? undefined : { approved: true, answer: answer.value };
    }
  });
}

/** What an agent wants to know; undefined if nobody wants to say anything now. */
export function askWords(terminal: Terminal, asked: Asked): Promise<Verdict | undefined> {
  return asking(terminal, asked, async (question) => {
    const reply = (await question('Your answer (nothing: you decline): '))?.trim();
    if (reply === undefined) return undefined;
    return reply === '' ? { approved: false } : { approved: true, answer: reply };
  });
}

/** The payload of an event; undefined if there is none now. */
export function askPayload(terminal: Terminal, asked: Asked): Promise<{ payload: unknown } | undefined> {
  return asking(terminal, asked, async (question) => {
    const reply = await question('Its payload, as JSON or text (nothing: null): ');
    if (reply === undefined) return undefined;
    return { payload: reply.trim() === '' ? null : jsonOrText(reply.trim()) };
  });
}

async function asking<T>(
  terminal: Terminal,
  { lines, signal, interrupted }: Asked,
  work: (question: Question) => Promise<T | undefined>,
): Promise<T | undefined> {
  return terminal.alone(async () => {
    const { stdin, stderr } = terminal.streams;
    for (const line of lines) stderr.write(`${line}\n`);
    const reader = createInterface({ input: stdin, output: stderr, terminal: stdin.isTTY === true });
    const closed = new AbortController();
    reader.once('close', () => closed.abort());
    reader.on('SIGINT', interrupted);
    const question: Question = async (text) => {
      try {
        return await reader.question(text, { signal: AbortSignal.any([signal, closed.signal]) });
      } catch (error) {
        if (signal.aborted || closed.signal.aborted) return undefined;
        throw error;
      }
    };
    try {
      return await work(question);
    } finally {
      reader.close();
    }
  });
}

/** Asks for each field of a form until the whole is what its schema wants. */
async function fillIn(
  form: Schema,
  question: Question,
  say: (text: string) => void,
): Promise<{ value: unknown } | undefined> {
  for (;;) {
    const filled = isRecord(form['properties'])
      ? await fields(form, form['properties'], question)
      : await whole(question);
    if (!filled) return undefined;
    const problem = schemaProblem(form, filled.value, 'the answer');
    if (problem === undefined) return filled;
    say(`${problem}; once more:`);
  }
}

async function whole(question: Question): Promise<{ value: unknown } | undefined> {
  const reply = await question('Answer, as JSON: ');
  return reply === undefined ? undefined : { value: jsonOrText(reply) };
}

async function fields(form: Schema, properties: Schema, question: Question): Promise<{ value: Schema } | undefined> {
  const value: Schema = {};
  const required = new Set(Array.isArray(form['required']) ? (form['required'] as unknown[]) : []);
  for (const [name, property] of Object.entries(properties)) {
    const schema = isRecord(property) ? property : {};
    const reply = await question(`  ${fieldLabel(name, schema, required.has(name))}: `);
    if (reply === undefined) return undefined;
    const text = reply.trim();
    if (text !== '') value[name] = fieldValue(text, schema);
    else if (schema['default'] !== undefined) value[name] = schema['default'];
  }
  return { value };
}

function fieldLabel(name: string, schema: Schema, required: boolean): string {
  const { title, description, type, enum: choices, default: fallback } = schema;
  const about = [title, description].find((one) => typeof one === 'string');
  const kind = Array.isArray(choices) ? choices.map(String).join('|') : typeof type === 'string' ? type : 'JSON';
  const notes = [kind, required ? '' : 'optional'].filter((note) => note !== '').join(', ');
  const preset = fallback === undefined ? '' : ` [${JSON.stringify(fallback)}]`;
  return `${name}${about === undefined ? '' : ` — ${about}`} (${notes})${preset}`;
}

function fieldValue(text: string, { type }: Schema): unknown {
  if (type === 'string') return text;
  if (type === 'boolean' && /^(y|yes|n|no)$/i.test(text)) return /^y/i.test(text);
  return jsonOrText(text);
}

function isRecord(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
