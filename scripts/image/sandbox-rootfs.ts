// Assembles what the image of the sandbox has besides Node: Python, a shell with the usual small tools, and the runner.
// All of it comes from Debian's packages on this machine, with their licences.
//
// As a program, for the Dockerfile: node scripts/image/sandbox-rootfs.ts FOLDER
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, lstat, mkdir, realpath, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { filesOfPackages, installPackages, packagesOf } from './debian.ts';
import { sharedLibraries, type Piece } from './rootfs.ts';

const run = promisify(execFile);

const PYTHON = '/usr/bin/python3';
/** The Dockerfile says the same. */
export const SANDBOX_ENTRYPOINT = [PYTHON, '-I', '-B', '/runner', '--work', '/work'];
const SHELL = ['bash', 'coreutils', 'dash', 'diffutils', 'findutils', 'grep', 'gzip', 'mawk', 'sed', 'tar'];

/** Of Python's library: what needs a screen, a network of long ago or a compiler, and the texts of its help. */
const LEFT_OUT =
  /\/(lib2to3|pydoc_data|ensurepip|idlelib|tkinter|turtle|config-[^/]+|sitecustomize|__pycache__|(nis|_dbm|_gdbm|readline|_curses\w*|_test\w+|_ctypes_test|xx\w+)\.cpython)/;

const LINKS = { '/usr/bin/python3': '', '/usr/bin/python': 'python3', '/usr/bin/awk': 'mawk', '/tmp': 'work/tmp' };

/** @throws with what to do about it where a package is missing */
export async function sandboxPieces(): Promise<Piece[]> {
  if (!existsSync(PYTHON)) await installPackages(['python3']);
  const python = basename(await realpath(PYTHON));
  const packages = [`${python}-minimal`, `lib${python}-minimal`, `lib${python}-stdlib`, ...SHELL];
  const wanted = new RegExp(`^(/usr)?/bin/|^/usr/lib/${python.replace('.', '\\.')}/`);
  const own = await ordinary(
    (await filesOfPackages(packages)).filter((path) => wanted.test(path) && !LEFT_OUT.test(path)),
  );
  const linked = own.filter(({ path, link }) => !link && /\/bin\/|\.so(\.|$)/.test(path)).map(({ path }) => path);
  const libraries = await librariesOf(linked);
  const files = [...own.map(({ path }) => ({ path, from: path })), ...libraries];
  return [...files, ...(await licences(files.map(({ from }) => from)))];
}

export async function assembleSandbox(pieces: readonly Piece[], tree: string): Promise<void> {
  for (const { path, from } of pieces) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await cp(from, join(tree, path), { verbatimSymlinks: true });
  }
  const python = basename(await realpath(PYTHON));
  for (const [path, target] of Object.entries(LINKS)) await symlink(target || python, join(tree, path));
  // Where the runner works; a folder that can be written to is mounted over it.
  await mkdir(join(tree, 'work'));
  // Nothing can be kept beside the sources under a root that is read only, so that each start would compile them again.
  await compile(join(tree, 'usr', 'lib', python), `/usr/lib/${python}`);
}

/** A layer of its own: it is what changes. */
export async function assembleRunner(root: string, tree: string): Promise<void> {
  const runner = join(tree, 'runner');
  await cp(join(root, 'sandbox', 'runner'), runner, {
    recursive: true,
    filter: (path) => !path.includes('__pycache__'),
  });
  await compile(runner, '/runner');
}

async function compile(folder: string, shownAs: string): Promise<void> {
  const mode = ['--invalidation-mode', 'unchecked-hash'];
  await run(PYTHON, ['-I', '-m', 'compileall', '-q', ...mode, '-s', folder, '-p', shownAs, folder]);
}

async function ordinary(paths: string[]): Promise<{ path: string; link: boolean }[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const state = await lstat(path).catch(() => undefined);
      return state?.isFile() || state?.isSymbolicLink() ? [{ path, link: state.isSymbolicLink() }] : [];
    }),
  );
  return found.flat();
}

/** Scripts are among the programs, and are linked to nothing. */
async function librariesOf(files: string[]): Promise<Piece[]> {
  const found = new Map<string, Piece>();
  for (const file of files) {
    for (const piece of await sharedLibraries(file).catch(() => [])) found.set(piece.path, piece);
  }
  return [...found.values()];
}

async function licences(files: string[]): Promise<Piece[]> {
  const paths = (await packagesOf(files)).map((name) => `/usr/share/doc/${name}/copyright`);
  // They refer to these for the text of the licence itself.
  const common = (await filesOfPackages(['base-files'])).filter((path) =>
    path.startsWith('/usr/share/common-licenses/'),
  );
  return (await ordinary([...paths, ...common])).map(({ path }) => ({ path, from: path }));
}

if (import.meta.main) {
  const [tree] = process.argv.slice(2);
  if (!tree) throw new Error('usage: node scripts/image/sandbox-rootfs.ts FOLDER');
  await assembleSandbox(await sandboxPieces(), tree);
  await assembleRunner(fileURLToPath(new URL('../..', import.meta.url)), tree);
}
