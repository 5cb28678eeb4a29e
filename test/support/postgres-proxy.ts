// Stands between a client and a PostgreSQL server and breaks connections at chosen moments.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * before: the server never hears of the request. after: it has carried it out, and its answer is lost. silence: neither
 * hears anything any more, and the connection stays.
 */
export type Fate = 'pass' | 'before' | 'after' | 'silence';

export interface PostgresProxy {
  readonly port: number;
  /** Decides on each request that is sent with parameters; `text` holds the SQL if it is sent for the first time. */
  judge: (text: string) => Fate;
  close: () => Promise<void>;
}

const SYNC = 'S'.charCodeAt(0);
const READY = 'Z'.charCodeAt(0);

export async function startProxy(target: number): Promise<PostgresProxy> {
  const sockets = new Set<Socket>();
  const proxy: PostgresProxy = { port: 0, judge: () => 'pass', close };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const cut = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', cut).on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    relay(client, upstream, cut, (text) => proxy.judge(text));
  });
  async function close(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(proxy, { port: (server.address() as AddressInfo).port });
}

function relay(client: Socket, upstream: Socket, cut: () => void, judge: (text: string) => Fate): void {
  let doomed = false;
  let request: Buffer[] = [];
  // The first message of a connection has no letter.
  const requests = splitter(0, (message, type) => {
    request.push(message);
    if (type !== SYNC) {
      // Whatever is no part of a request with parameters goes on at once.
      if (!isPart(type)) upstream.write(Buffer.concat(request.splice(0)));
      return;
    }
    const whole = Buffer.concat(request);
    request = [];
    const fate = judge(whole.toString('latin1'));
    if (fate === 'before') {
      cut();
      return;
    }
    if (fate === 'silence') {
      client.pause();
      return;
    }
    doomed ||= fate === 'after';
    upstream.write(whole);
  });
  client.on('data', requests);
  const answers = splitter(1, (_, type) => {
    if (doomed && type === READY) cut();
  });
  upstream.on('data', (chunk: Buffer) => {
    answers(chunk);
    if (!doomed) client.write(chunk);
  });
}

/** Parse, bind, describe, execute, close. */
function isPart(type: number): boolean {
  return 'PBDEC'.includes(String.fromCharCode(type));
}

/** Calls back for each whole message. `letters`: how many bytes stand before the length of the first one. */
function splitter(letters: number, hear: (message: Buffer, type: number) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let before = letters;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= before + 4) {
      const size = before + rest.readUInt32BE(before);
      if (rest.length < size) return;
      const message = rest.subarray(0, size);
      rest = rest.subarray(size);
      const type = before === 0 ? 0 : (message[0] ?? 0);
      before = 1;
      hear(message, type);
    }
  };
}
