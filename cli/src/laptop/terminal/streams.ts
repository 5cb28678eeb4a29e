// What a command reads from and writes to.
import type { ReadStream, WriteStream } from 'node:tty';

export interface Streams {
  stdin: NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY'>>;
  stdout: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY'>>;
  stderr: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'rows'>>;
}
