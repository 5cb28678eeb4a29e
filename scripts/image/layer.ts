// A layer of an image: a folder as a tar file, the same bytes for the same contents.
import { spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export interface Layer {
  /** The gzipped tar. */
  file: string;
  /** Digest of the gzipped tar. */
  digest: string;
  /** Digest of the tar itself. */
  diffId: string;
  /** Size of the gzipped tar. */
  bytes: number;
}

/** Everything belongs to root, all may read it, and it is dated 1970: who built it, and when, leaves no trace. */
const REPRODUCIBLE = [
  '--format=gnu',
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--mode=u=rwX,go=rX',
];

/** @throws if GNU tar is not there or fails; `file` is then what it was before */
export async function packLayer(folder: string, file: string): Promise<Layer> {
  const plain = createHash('sha256');
  const packed = createHash('sha256');
  const unfinished = `${file}.${process.pid}`;
  try {
    const tar = startTar(folder);
    await Promise.all([
      tar.ended,
      pipeline(tar.output, seenBy(plain), createGzip(), seenBy(packed), createWriteStream(unfinished)),
    ]);
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
  const { size } = await stat(file);
  return { file, digest: `sha256:${packed.digest('hex')}`, diffId: `sha256:${plain.digest('hex')}`, bytes: size };
}

function startTar(folder: string) {
  const tar = spawn('tar', [...REPRODUCIBLE, '-cf', '-', '-C', folder, '.'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  tar.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(0, 2000)));
  const ended = new Promise<void>((resolve, reject) => {
    tar.once('error', (error) => reject(new Error(`GNU tar is needed to pack an image: ${error.message}`)));
    tar.once('close', (code) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(`packing ${folder} failed: ${complaint.trim() || `tar ended with code ${code ?? 'unknown'}`}`),
        );
    });
  });
  return { output: tar.stdout, ended };
}

function seenBy(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}
