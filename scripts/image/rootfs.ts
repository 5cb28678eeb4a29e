// Assembles what lies below the program in an image: Node, the shared libraries it is linked to, certificates and a user.
// There is no shell, no package manager and nothing else to run: only the sandbox puts some of that on top.
//
// As a program, for the Dockerfile: node scripts/image/rootfs.ts NODE_BINARY FOLDER
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, realpath, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './debian.ts';

const run = promisify(execFile);

/** A small Debian has no libatomic, which Node 26 is linked to. */
const PACKAGES = ['libatomic1', 'libstdc++6'];

/** One file of the root file system. */
export interface Piece {
  /** Where it lies in the image. */
  path: string;
  /** Where it comes from. */
  from: string;
}

const TEXTS = {
  'etc/passwd': 'root:x:0:0:root:/:/nonexistent\nkadre:x:65532:65532:kadre:/:/nonexistent\n',
  'etc/group': 'root:x:0:\nkadre:x:65532:\n',
  // Without it the C library asks DNS before it looks into /etc/hosts.
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};

/** @throws with what to do about it where the machine has no glibc or lacks a library */
export async function piecesFor(node: string): Promise<Piece[]> {
  const binary = await realpath(node);
  const pieces = [{ path: '/usr/bin/node', from: binary }, ...(await sharedLibraries(binary))];
  const optional = [
    { path: '/etc/ssl/certs/ca-certificates.crt', from: '/etc/ssl/certs/ca-certificates.crt' },
    { path: '/usr/share/doc/node/LICENSE', from: join(dirname(binary), '..', 'LICENSE') },
  ];
  for (const piece of optional) if (await readable(piece.from)) pieces.push(piece);
  return pieces;
}

export async function assemble(pieces: Piece[], tree: string): Promise<void> {
  for (const { path, from } of pieces) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await copyFile(from, join(tree, path));
  }
  const binary = join(tree, 'usr/bin/node');
  await chmod(binary, 0o755);
  await run('strip', [binary]).catch(() => {
    console.error('strip (Debian: binutils) is not here; the image grows by 8 MB.');
  });
  for (const [path, text] of Object.entries(TEXTS)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
}

/** Of a program or a library, with those that they need in turn. */
export async function sharedLibraries(binary: string): Promise<Piece[]> {
  let found = await linked(binary);
  if (found.missing && (await installPackages(PACKAGES))) found = await linked(binary);
  if (found.missing)
    throw new Error(
      `${binary} needs ${found.missing}, which is not here. On Debian: apt-get install ${PACKAGES.join(' ')}`,
    );
  return Promise.all(found.paths.map(async (path) => ({ path, from: await realpath(path) })));
}

async function linked(binary: string): Promise<{ paths: string[]; missing: string | undefined }> {
  const { stdout } = await run('ldd', [binary]).catch((error: unknown) => {
    throw new Error(`ldd cannot read ${binary}; a Linux with glibc is needed.`, { cause: error });
  });
  return {
    paths: stdout.split('\n').flatMap((line) => /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1] ?? []),
    missing: /^\s*(\S+) => not found/m.exec(stdout)?.[1],
  };
}

function readable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

if (import.meta.main) {
  const [node, tree] = process.argv.slice(2);
  if (!node || !tree) throw new Error('usage: node scripts/image/rootfs.ts NODE_BINARY FOLDER');
  await assemble(await piecesFor(node), tree);
}
