import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { capture } from './command.ts';

interface Index {
  readonly manifests: readonly Manifest[];
}

interface Manifest {
  readonly annotations?: Readonly<Record<string, string>>;
}

const refName = 'org.opencontainers.image.ref.name';

/**
 * Hands `use` the path of an image archive that a container runtime can import. `source` is such an archive already (Docker's
 * or the OCI's format), or an OCI layout `DIRECTORY[:TAG]`, which must come with the image's name, because a layout knows tags
 * at most.
 *
 * Throws an Error when the layout holds no such tag, or several images and no tag was given.
 */
export async function withImageArchive(
  source: string,
  name: string | undefined,
  use: (archive: string) => Promise<void>,
): Promise<void> {
  if (isFile(source)) {
    if (name !== undefined)
      throw new Error(`${source} is an archive, which names its images itself; leave "${name}" away`);
    await use(source);
    return;
  }
  const [layout, tag] = splitTag(source);
  if (!isFile(path.join(layout, 'index.json')))
    throw new Error(`${source} is neither an image archive nor an OCI layout`);
  if (name === undefined)
    throw new Error(`${source} is an OCI layout; say also what its image is called: ${source} NAME`);
  const temporary = mkdtempSync(path.join(tmpdir(), 'kadre-image-'));
  try {
    const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as Index;
    writeFileSync(path.join(temporary, 'index.json'), JSON.stringify(nameImage(index, tag, fullName(name), layout)));
    const archive = path.join(temporary, 'image.tar');
    await capture('tar', ['-cf', archive, '-C', layout, 'oci-layout', 'blobs', '-C', temporary, 'index.json']);
    await use(archive);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function isFile(source: string): boolean {
  return statSync(source, { throwIfNoEntry: false })?.isFile() === true;
}

function splitTag(source: string): [layout: string, tag: string | undefined] {
  const colon = source.lastIndexOf(':');
  return colon > source.lastIndexOf('/') ? [source.slice(0, colon), source.slice(colon + 1)] : [source, undefined];
}

/** The index with one image alone, under its full name. */
function nameImage(index: Index, tag: string | undefined, name: string, layout: string): Index {
  const candidates = index.manifests.filter(({ annotations }) => tag === undefined || annotations?.[refName] === tag);
  const [manifest, another] = candidates;
  if (manifest === undefined) throw new Error(`${layout} holds no image with the tag "${tag ?? ''}"`);
  if (another !== undefined) throw new Error(`${layout} holds several images; say which: ${layout}:TAG`);
  const names = { 'io.containerd.image.name': name, [refName]: name.slice(name.lastIndexOf(':') + 1) };
  return { ...index, manifests: [{ ...manifest, annotations: { ...manifest.annotations, ...names } }] };
}

/** What Kubernetes understands a short image name to mean: `kadre` is `docker.io/library/kadre:latest`. */
export function fullName(name: string): string {
  const tagged = name.lastIndexOf(':') > name.lastIndexOf('/') ? name : `${name}:latest`;
  const [host = ''] = tagged.split('/');
  if (!tagged.includes('/')) return `docker.io/library/${tagged}`;
  return host.includes('.') || host.includes(':') || host === 'localhost' ? tagged : `docker.io/${tagged}`;
}
