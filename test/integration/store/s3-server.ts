// A real S3 server on a loopback port, and a way to it on which anything can happen.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { S3Options } from '@kadre/store';
import { ensureBuilt } from '../../cluster/go-build.ts';
import { freePort } from '../../support/free-port.ts';

export interface S3Server {
  options: S3Options;
  /** As if the machine had lost power. */
  kill: () => Promise<void>;
  /** Starts it anew on the same port with the same objects. */
  start: () => Promise<void>;
  /** Ends it and removes its objects. */
  close: () => Promise<void>;
}

const bucket = 'kadre';
const credentials = { accessKeyId: 'kadre', secretAccessKey: 'canary-6b1f0c' };
// Starts the server and ends it once standard input is closed: also when the test's own process dies.
const TETHERED = '"$0" "$@" & server=$!; cat; kill -9 $server; wait $server';

/** Starts Versity's S3 gateway over a folder. The first time it is built, which takes about a minute on two cores. */
export async function startS3Server(): Promise<S3Server> {
  const built = await ensureBuilt(
    {
      directory: path.join(import.meta.dirname, 'versitygw'),
      packages: ['github.com/versity/versitygw/cmd/versitygw'],
      linkerFlags: ['-s', '-w'],
      announcement: 'building an S3 server from its Go module; the first time takes about a minute on two cores',
    },
    (line) => void process.stderr.write(`${line}\n`),
  );
  const root = await mkdtemp(path.join(tmpdir(), 'kadre-s3-'));
  for (const folder of [`data/${bucket}`, 'metadata']) await mkdir(path.join(root, folder), { recursive: true });
  const port = await freePort();
  const place = ['posix', '--sidecar', path.join(root, 'metadata'), path.join(root, 'data')];
  const args = ['--port', `127.0.0.1:${port}`, '--quiet', ...place];
  const endpoint = `http://127.0.0.1:${port}`;
  let server: ChildProcess;
  const start = async (): Promise<void> => {
    server = spawn('sh', ['-c', TETHERED, path.join(built, 'versitygw'), ...args], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {
        ...process.env,
        ROOT_ACCESS_KEY: credentials.accessKeyId,
        ROOT_SECRET_KEY: credentials.secretAccessKey,
      },
    });
    await answering(endpoint, server);
  };
  const kill = async (): Promise<void> => {
    const ended = once(server, 'exit');
    server.stdin?.end();
    await ended;
  };
  await start();
  return {
    options: { endpoint, bucket, credentials: () => credentials, retry: { attempts: 6, firstDelayMs: 5 } },
    kill,
    start,
    async close() {
      if (server.exitCode === null) await kill();
      await rm(root, { recursive: true });
    },
  };
}

async function answering(endpoint: string, server: ChildProcess): Promise<void> {
  while (server.exitCode === null) {
    const answered = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the S3 server ended with code ${server.exitCode}`);
}

/** What may happen to a request. */
export type Mishap =
  | { status: number; body?: string }
  /** The connection breaks before the server hears of it; after it was carried out; halfway up; halfway down. */
  | 'unheard'
  | 'unanswered'
  | 'cut on the way up'
  | 'cut on the way down'
  /** The answer is whole, but holds less than it should. */
  | 'short';

export interface RoughWay {
  options: S3Options;
  /** The next requests meet these, one each; all further ones pass. */
  mishaps: Mishap[];
  /** Called when the first bytes of a body arrive. */
  onBody: () => void;
  close: () => Promise<void>;
}

/** A server in front of the real one. The signature stays good: it covers the host that the client named. */
export async function roughWayTo(options: S3Options): Promise<RoughWay> {
  const way: Pick<RoughWay, 'mishaps' | 'onBody'> = { mishaps: [], onBody: () => undefined };
  const server = createServer((asked, answer) => {
    void pass(asked, answer, new URL(options.endpoint), way);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(way, {
    options: { ...options, endpoint },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function pass(
  asked: IncomingMessage,
  answer: ServerResponse,
  target: URL,
  way: Pick<RoughWay, 'mishaps' | 'onBody'>,
): Promise<void> {
  const mishap = way.mishaps.shift();
  asked.once('data', () => way.onBody());
  const body = Buffer.concat(await asked.toArray());
  if (mishap === 'unheard') return void answer.destroy();
  if (typeof mishap === 'object') return void answer.writeHead(mishap.status).end(mishap.body);
  const { hostname, port } = target;
  const { method, url: path, headers } = asked;
  const onward = request({ hostname, port, method, path, headers });
  onward.on('error', () => answer.destroy());
  if (mishap === 'cut on the way up') {
    return void onward.write(body.subarray(0, body.length / 2), () => {
      onward.destroy();
      answer.destroy();
    });
  }
  onward.end(body);
  onward.on('response', (came) => void deliver(came, answer, mishap));
}

async function deliver(came: IncomingMessage, answer: ServerResponse, mishap: Mishap | undefined): Promise<void> {
  const body = Buffer.concat(await came.toArray());
  const half = body.subarray(0, body.length / 2);
  if (mishap === 'unanswered') return void answer.destroy();
  if (mishap === 'short') {
    return void answer.writeHead(came.statusCode ?? 500, { 'content-length': half.length }).end(half);
  }
  answer.writeHead(came.statusCode ?? 500, came.headers);
  if (mishap === 'cut on the way down') return void answer.write(half, () => answer.destroy());
  answer.end(body);
}
