// A provider that has its answers ready: no model, and as little HTTP as there must be, so that it takes next to nothing of
// the time that is measured. Ends with whoever started it.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { CHUNKS, PACE_MS, PACED, streamAtOnce, streamBegin, streamChunk, streamEnd, wholeAnswer } from './answers.ts';

const paced = Buffer.from(PACED);
const streamed = /"stream": ?true/;

process.once('disconnect', () => process.exit(0));
const server = createServer({ noDelay: true }, (socket) => {
  let waiting: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('data', (data: Buffer) => {
    waiting = waiting.length === 0 ? data : Buffer.concat([waiting, data]);
    for (let length = lengthOf(waiting); length > 0; length = lengthOf(waiting)) {
      answer(socket, waiting.subarray(0, length));
      waiting = waiting.subarray(length);
    }
  });
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 2048 }, () =>
  process.send?.((server.address() as AddressInfo).port),
);

/** Of the first request, with its body; 0 if it is not all there yet. */
function lengthOf(data: Buffer): number {
  const end = data.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const [, digits = '0'] = /\r\ncontent-length: *(\d+)/i.exec(data.toString('latin1', 0, end)) ?? [];
  const length = end + 4 + Number(digits);
  return data.length < length ? 0 : length;
}

function answer(socket: Socket, request: Buffer): void {
  if (request.includes(paced)) atPace(socket);
  else socket.write(streamed.test(request.toString('latin1')) ? streamAtOnce : wholeAnswer);
}

function atPace(socket: Socket): void {
  let left = CHUNKS;
  socket.write(streamBegin);
  const timer = setInterval(() => {
    socket.write(streamChunk);
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    socket.write(streamEnd);
  }, PACE_MS);
  socket.once('close', () => clearInterval(timer));
}
