// Files in memory, as far as Git wants them: a repository is looked at once, and nothing of it is to stay behind.
interface Stats {
  type: 'file' | 'dir';
  mode: number;
  size: number;
  ino: number;
  mtimeMs: number;
  ctimeMs: number;
  uid: number;
  gid: number;
  dev: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

const failing = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

export function memoryFs() {
  const files = new Map<string, Uint8Array>();
  const folders = new Set(['/']);
  const stat = (path: string): Promise<Stats> => {
    const file = files.get(path);
    if (!file && !folders.has(path)) return Promise.reject(failing('ENOENT', path));
    const isFile = file !== undefined;
    return Promise.resolve({
      type: isFile ? 'file' : 'dir',
      mode: isFile ? 0o100644 : 0o040755,
      size: file?.length ?? 0,
      ...{ ino: 0, mtimeMs: 0, ctimeMs: 0, uid: 0, gid: 0, dev: 0 },
      isFile: () => isFile,
      isDirectory: () => !isFile,
      isSymbolicLink: () => false,
    });
  };
  const noLinks = (path: string): Promise<never> => Promise.reject(failing('ENOSYS', path));
  const promises = {
    readFile: (path: string, options?: string | { encoding?: string }): Promise<Uint8Array | string> => {
      const file = files.get(path);
      if (!file) return Promise.reject(failing(folders.has(path) ? 'EISDIR' : 'ENOENT', path));
      const encoding = typeof options === 'string' ? options : options?.encoding;
      return Promise.resolve(encoding === undefined ? file : Buffer.from(file).toString('utf8'));
    },
    writeFile: (path: string, data: Uint8Array | string): Promise<void> => {
      if (!folders.has(parentOf(path))) return Promise.reject(failing('ENOENT', path));
      files.set(path, typeof data === 'string' ? Buffer.from(data) : data);
      return Promise.resolve();
    },
    mkdir: (path: string): Promise<void> => {
      if (folders.has(path) || files.has(path)) return Promise.reject(failing('EEXIST', path));
      if (!folders.has(parentOf(path))) return Promise.reject(failing('ENOENT', path));
      folders.add(path);
      return Promise.resolve();
    },
    readdir: (path: string): Promise<string[]> => {
      if (!folders.has(path)) return Promise.reject(failing(files.has(path) ? 'ENOTDIR' : 'ENOENT', path));
      const inside = path === '/' ? '/' : `${path}/`;
      const names = [...files.keys(), ...folders]
        .filter((one) => one.startsWith(inside) && one !== path)
        .map((one) => one.slice(inside.length).split('/')[0] ?? '');
      return Promise.resolve([...new Set(names)].filter((name) => name !== ''));
    },
    unlink: (path: string): Promise<void> =>
      files.delete(path) ? Promise.resolve() : Promise.reject(failing('ENOENT', path)),
    rmdir: (path: string): Promise<void> =>
      folders.delete(path) ? Promise.resolve() : Promise.reject(failing('ENOENT', path)),
    stat,
    lstat: stat,
    readlink: noLinks,
    symlink: (_target: string, path: string) => noLinks(path),
  };
  return { promises };
}
