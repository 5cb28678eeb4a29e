import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ToolSpec } from '@kadre/crds';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { makeBed, makeTool, type Bed } from '../../../tools/src/testing/bed.ts';

type EmailPart = NonNullable<NonNullable<ToolSpec['builtin']>['email']>;

interface Mailbox {
  port: number;
  mails: { to: string[]; source: string }[];
  logins: string[];
  close(): Promise<void>;
}

async function startMailbox(options: SMTPServerOptions = {}): Promise<Mailbox> {
  const mails: Mailbox['mails'] = [];
  const logins: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    logger: false,
    onAuth: ({ username, password }, _session, callback) => {
      logins.push(`${username ?? ''}:${password ?? ''}`);
      if (password === 'right') callback(null, { user: username });
      else callback(new Error('no'));
    },
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const to = session.envelope.rcptTo.map(({ address }) => address);
        mails.push({ to, source: Buffer.concat(chunks).toString() });
        callback();
      });
    },
    ...options,
  });
  // A client that leaves is no error of the server's.
  server.on('error', () => undefined);
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const address = listening.address();
  if (typeof address !== 'object' || address === null) throw new Error('a TCP server has an address');
  return { port: address.port, mails, logins, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

let bed: Bed;
let mailbox: Mailbox;
beforeEach(async () => {
  bed = makeBed();
  mailbox = await startMailbox();
});
afterEach(() => Promise.all([bed.toolbox.close(), mailbox.close()]));

const email = (part: Partial<EmailPart> = {}, spec: Partial<ToolSpec> = {}) =>
  makeTool({
    builtin: {
      email: {
        host: '127.0.0.1',
        port: mailbox.port,
        from: 'Kadre <kadre@example.com>',
        recipients: ['ada@example.com', '*@team.example'],
        ...part,
      },
    },
    ...spec,
  });
const mail = { to: ['ada@example.com'], subject: 'Grüße', text: 'Hallo Ada,\n.\nbis bald' };
const auth = { secretRef: { name: 'keys', key: 'mail' } };

test('mail is sent to whom it may, with one name however often it is sent', async () => {
  const to = ['ADA@example.com', 'bob@team.example'];
  const answer = { isError: false, content: [{ type: 'text', text: 'Sent to ADA@example.com, bob@team.example.' }] };
  for (const idempotencyKey of ['one', 'one', 'two']) {
    expect(await bed.call(email(), { ...mail, to }, { idempotencyKey })).toEqual(answer);
  }
  const names = mailbox.mails.map(({ source }) => /^Message-ID: (<.*@kadre\.dev>)/im.exec(source)?.[1]);
  expect(names[0]).toBeDefined();
  expect([names[1] === names[0], names[2] === names[0]]).toEqual([true, false]);
  expect(mailbox.mails[0]?.to).toEqual(to);
  expect(mailbox.mails[0]?.source).toMatch(/^From: Kadre <kadre@example.com>\r\n/m);
  expect(mailbox.mails[0]?.source).toMatch(/^Subject: =\?UTF-8\?/m);
});

test.each<[string, object, RegExp]>([
  ['a stranger', { to: ['eve@example.com'] }, /^eve@example\.com is not among those to whom mail may be sent/],
  ['a stranger among others', { to: ['ada@example.com', 'eve@evil.example'] }, /^eve@evil\.example is not among/],
  ['somebody of a subdomain', { to: ['eve@x.team.example'] }, /is not among/],
  ['somebody of a domain that ends alike', { to: ['eve@evilteam.example'] }, /is not among/],
  ['an address with a name', { to: ['Ada <eve@evil.example>'] }, /bare addresses/],
  ['a list in one', { to: ['ada@example.com,eve@evil.example'] }, /bare addresses/],
  ['a line break', { to: ['ada@example.com\r\nBcc: eve@evil.example'] }, /bare addresses/],
  ['a line break at the end', { to: ['ada@example.com\n'] }, /bare addresses/],
  ['a command', { to: ['ada@example.com> SIZE=1\r\nRCPT TO:<eve@evil.example'] }, /bare addresses/],
  ['two at signs', { to: ['eve@evil.example@team.example'] }, /bare addresses/],
  ['a quoted part', { to: ['"eve@evil.example "@team.example'] }, /bare addresses/],
  ['a subject with a header', { subject: 'Hi\r\nBcc: eve@evil.example' }, /write one line/],
  ['a copy', { cc: ['eve@evil.example'] }, /does not fit/],
  ['an attachment', { attachments: [{ path: '/etc/passwd' }] }, /does not fit/],
  ['nobody', { to: [] }, /argument to does not fit/],
])('no mail goes to %s', async (_what, more, message) => {
  const answer = await bed.call(email(), { ...mail, ...more });
  expect(answer).toEqual({ isError: true, content: [{ type: 'text', text: expect.stringMatching(message) }] });
  expect(mailbox.mails).toEqual([]);
});

describe('with a secret', () => {
  test('it signs in', async () => {
    bed.secrets.set('keys/mail', 'kadre:right\n');
    expect(await bed.call(email({ auth }), mail)).toMatchObject({ isError: false });
    expect(mailbox.logins).toEqual(['kadre:right']);
  });

  test.each([
    ['that is wrong', 'kadre:wrong-token', { fault: 'unauthorized', retry: false }],
    ['that is no login', 'just-a-token', { fault: 'misconfigured' }],
  ])('%s is told, without it', async (_what, value, fault) => {
    bed.secrets.set('keys/mail', value);
    const error = await bed.call(email({ auth }), mail).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ToolError', ...fault });
    expect((error as Error).message).not.toContain('token');
    expect(mailbox.mails).toEqual([]);
  });
});

describe('a server that', () => {
  const replaced = async (options: SMTPServerOptions) => {
    await mailbox.close();
    mailbox = await startMailbox(options);
  };
  const refusing = (responseCode: number): SMTPServerOptions => ({
    onRcptTo: (_address, _session, callback) => callback(Object.assign(new Error('not today'), { responseCode })),
  });

  test('refuses a recipient for good is for the model to read', async () => {
    await replaced(refusing(550));
    const text = expect.stringMatching(/^The mail server refuses the mail: 550 .*not today/);
    expect(await bed.call(email(), mail)).toEqual({ isError: true, content: [{ type: 'text', text }] });
  });

  test('refuses one of two says which', async () => {
    await replaced({
      onRcptTo: ({ address }, _session, callback) =>
        callback(address.startsWith('bob') ? new Error('unknown') : undefined),
    });
    expect(await bed.call(email(), { ...mail, to: ['ada@example.com', 'bob@team.example'] })).toEqual({
      isError: true,
      content: [{ type: 'text', text: 'Sent, but the server refuses bob@team.example.' }],
    });
  });

  test('puts the mail off may be asked again', async () => {
    await replaced(refusing(451));
    await expect(bed.call(email(), mail)).rejects.toMatchObject({ fault: 'status', retry: true, sent: false });
  });

  test('never says hello is left at the timeout', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    await expect(bed.call(email({ port }, { timeout: '100ms' }), mail)).rejects.toMatchObject({ fault: 'timeout' });
    silent.close();
  });

  test('is none is told', async () => {
    const rude = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
    await once(rude, 'listening');
    const { port } = rude.address() as { port: number };
    await expect(bed.call(email({ port }), mail)).rejects.toMatchObject({ fault: 'unreachable', sent: false });
    rude.close();
  });

  test('is not there is told', async () => {
    await expect(bed.call(email({ port: 1 }), mail)).rejects.toMatchObject({ fault: 'unreachable', sent: false });
  });

  test.each(['127.0.0.1', 'localhost', '169.254.169.254', '::1'])('may not be reached is not: %s', async (host) => {
    const guarded = makeBed({});
    await expect(guarded.call(email({ host }), mail)).rejects.toMatchObject({ fault: 'refused', sent: false });
    await guarded.toolbox.close();
  });
});
