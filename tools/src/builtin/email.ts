// Mail to recipients that an administrator has allowed.
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { z } from 'zod';
import type { ToolAnswer } from '../contract.ts';
import { failure, textAnswer, type Errand, type Executor } from '../executor.ts';
import { closedTo } from '../net/addresses.ts';
import { fromTransport } from '../net/failures.ts';
import { guardedConnector } from '../net/guard.ts';
import { readSecret } from '../net/sign-in.ts';
import { ToolError } from '../tool-error.ts';
import { readArguments } from './arguments.ts';
import { partOf, type BuiltinSpec } from './builtin-spec.ts';

type EmailPart = NonNullable<BuiltinSpec['email']>;

const CONNECT_MS = 10_000;

/** One bare address: no name, no list, nothing that a header could be made of. */
const ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$/;
const LINE = /^\P{Cc}*$/u;

const input = z
  .object({
    to: z
      .array(z.string().max(320).regex(ADDRESS, 'write bare addresses, such as ada@example.com'))
      .min(1)
      .max(50)
      .describe('Addresses.'),
    subject: z.string().min(1).max(500).regex(LINE, 'write one line').describe('One line.'),
    text: z.string().min(1).max(500_000).describe('The message, as plain text.'),
  })
  .strict();

export function emailExecutor(allowLoopback: boolean): Executor {
  const closed = closedTo('administrator', allowLoopback);
  const connector = guardedConnector({ closed, connectMs: CONNECT_MS, allowH2: false });
  const connect = ({ host, port }: EmailPart, signal: AbortSignal): Promise<Socket> =>
    new Promise((resolve, reject) => {
      connector({ hostname: host, port: String(port), protocol: 'http:' }, (error, socket) => {
        if (error) reject(fromTransport(error, signal));
        else resolve(socket);
      });
    });
  return {
    describe: ({ tool }) => {
      const { recipients } = partOf(tool.spec, 'email');
      const description = tool.spec.description ?? `Sends mail to ${recipients.join(', ')}.`;
      return Promise.resolve({ operations: [{ description, inputSchema: z.toJSONSchema(input) }] });
    },
    call: async (errand, { args, idempotencyKey }) => {
      const part = partOf(errand.tool.spec, 'email');
      const given = readArguments(input, args);
      if ('complaint' in given) return given.complaint;
      const stranger = given.read.to.find((address) => !isAllowed(part.recipients, address));
      if (stranger !== undefined) {
        return failure(`${stranger} is not among those to whom mail may be sent: ${part.recipients.join(', ')}.`);
      }
      const login = part.auth && (await readLogin(part.auth, errand));
      const socket = await connect(part, errand.signal);
      const mail = { ...given.read, idempotencyKey };
      // Nobody reads a password that goes to the same machine.
      return await send(part, mail, login, {
        socket,
        signal: errand.signal,
        requireTLS: login !== undefined && !allowLoopback,
      });
    },
  };
}

function isAllowed(recipients: readonly string[], address: string): boolean {
  const wanted = address.toLowerCase();
  const domain = wanted.slice(wanted.lastIndexOf('@'));
  return recipients.some((one) => one.toLowerCase() === wanted || one.toLowerCase() === `*${domain}`);
}

interface Login {
  user: string;
  pass: string;
}

async function readLogin({ secretRef }: NonNullable<EmailPart['auth']>, { secret }: Errand): Promise<Login> {
  const value = await readSecret(secretRef, secret);
  const colon = value.indexOf(':');
  if (colon > 0) return { user: value.slice(0, colon), pass: value.slice(colon + 1) };
  throw new ToolError(
    'misconfigured',
    `The key ${secretRef.key} of the Secret ${secretRef.name} must be user:password.`,
  );
}

type Mail = z.output<typeof input> & { idempotencyKey: string };

async function send(
  part: EmailPart,
  { to, subject, text, idempotencyKey }: Mail,
  login: Login | undefined,
  { socket, signal, requireTLS }: { socket: Socket; signal: AbortSignal; requireTLS: boolean },
): Promise<ToolAnswer> {
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    host: part.host,
    port: part.port,
    connection: socket,
    secure: part.port === 465,
    requireTLS,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(login && { auth: login }),
  });
  const stop = () => socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const { rejected } = (await transport.sendMail({
      from: part.from,
      to: to.map((address) => ({ name: '', address })),
      subject,
      text,
      // A mail that is sent once more bears the same name, by which readers tell that it is the same.
      messageId: `<${createHash('sha256').update(idempotencyKey).digest('hex').slice(0, 40)}@kadre.dev>`,
    })) as { rejected: string[] };
    if (rejected.length === 0) return textAnswer(`Sent to ${to.join(', ')}.`);
    return failure(`Sent, but the server refuses ${rejected.join(', ')}.`);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    return fromSmtp(error);
  } finally {
    signal.removeEventListener('abort', stop);
    transport.close();
    socket.destroy();
  }
}

/** @throws ToolError for what a model cannot mend */
function fromSmtp(error: unknown): ToolAnswer {
  const {
    code,
    responseCode = 0,
    command,
    response,
  } = error as {
    code?: string;
    responseCode?: number;
    command?: string;
    response?: string;
  };
  const said = `${responseCode} ${(response ?? '').replace(/\s+/g, ' ').slice(0, 300)}`;
  const sent = command === 'DATA' && responseCode === 0;
  if (code === 'EAUTH')
    throw new ToolError('unauthorized', "The mail server does not take the Tool's secret: set another one.");
  if (code === 'ETLS')
    throw new ToolError('unreachable', 'No encrypted connection to the mail server comes about.', { cause: error });
  if (responseCode >= 500) return failure(`The mail server refuses the mail: ${said}`);
  if (responseCode >= 400) throw new ToolError('status', `The mail server puts the mail off: ${said}`, { retry: true });
  throw new ToolError('unreachable', 'The mail server broke the connection off.', { retry: true, sent, cause: error });
}
