// Builds the container images kadre, kadre-agent-runtime and kadre-sandbox, and writes them as archives to .cache/images, which
// `docker load`, `ctr images import`, `kind load image-archive` and `skopeo copy oci-archive:` all read.
//
// Docker or buildah builds the Dockerfile where there is one. Elsewhere no container engine takes part: an image is a few
// tar files and two JSON files; docs/decisions/0007 says why. All images share the layer that holds Node, so that after a
// change of code only a few hundred kilobytes are written anew.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle, programs, ROOT, type Program } from './bundle.ts';
import { CACHE_ENV, CACHE_FOLDER, compileCache } from './image/compile-cache.ts';
import { compressedSize, containerEngine, type ContainerEngine } from './image/engine.ts';
import { fingerprint } from './image/fingerprint.ts';
import { writeArchive, type ImageConfig } from './image/oci.ts';
import { nodeBase, type NodeBase } from './image/node-layer.ts';
import { keptLayer } from './image/kept-layer.ts';
import { packLayer } from './image/layer.ts';
import { NODE_ENV, NODE_FLAGS } from './image/node-settings.ts';
import { assembleRunner, assembleSandbox, SANDBOX_ENTRYPOINT, sandboxPieces } from './image/sandbox-rootfs.ts';

const IMAGES = join(ROOT, '.cache', 'images');
const INDEX = join(IMAGES, 'index.json');

type ImageName = Program | 'sandbox';

/** One image as `.cache/images/index.json` lists it. */
interface BuiltImage {
  program: ImageName;
  /** What a pod names. */
  ref: string;
  /** Relative to the root of the repository. */
  archive: string;
  /** Of the image's manifest. */
  digest: string;
  /** What a registry stores and a node pulls. */
  compressedBytes: number;
}

interface Index {
  /** Fingerprint of all that the images are made from. */
  inputs: string;
  images: BuiltImage[];
}

const repositories: Record<ImageName, string> = {
  kadre: 'kadre',
  'agent-runtime': 'kadre-agent-runtime',
  sandbox: 'kadre-sandbox',
};

async function main(): Promise<void> {
  const engine = await containerEngine();
  const inputs = `${await fingerprint(ROOT)} ${engine?.name ?? 'none'}`;
  const previous = await readIndex();
  const fresh = previous?.inputs === inputs && previous.images.every(({ archive }) => existsSync(join(ROOT, archive)));
  const index = fresh ? previous : await buildAll(inputs, engine);
  for (const { ref, archive, compressedBytes } of index.images) {
    console.log(
      `${ref}  ${(compressedBytes / 1e6).toFixed(1)} MB compressed  ${archive}${fresh ? '  (unchanged)' : ''}`,
    );
  }
}

async function readIndex(): Promise<Index | undefined> {
  try {
    return JSON.parse(await readFile(INDEX, 'utf8')) as Index;
  } catch {
    return undefined;
  }
}

async function buildAll(inputs: string, engine: ContainerEngine | undefined): Promise<Index> {
  const work = join(IMAGES, `work.${process.pid}`);
  await mkdir(work, { recursive: true });
  try {
    const images = (engine && (await buildWith(engine))) ?? (await buildWithout(work));
    const index = { inputs, images };
    await writeFile(join(work, 'index.json'), `${JSON.stringify(index, null, 2)}\n`);
    await rename(join(work, 'index.json'), INDEX);
    return index;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Undefined if the engine could not, as where it reaches no registry for the base image, and nobody insisted on it. */
async function buildWith(engine: ContainerEngine): Promise<BuiltImage[] | undefined> {
  console.log(`${engine.name} builds the Dockerfile; the first time takes a few minutes.`);
  try {
    return await buildDockerfile(engine);
  } catch (error) {
    if (engine.required) throw error;
    console.log(
      `${error instanceof Error ? error.message : String(error)}\nSo the images are built without an engine.`,
    );
    return undefined;
  }
}

async function buildDockerfile(engine: ContainerEngine): Promise<BuiltImage[]> {
  const images: BuiltImage[] = [];
  for (const program of Object.keys(repositories) as ImageName[]) {
    const { ref, archive } = await namesOf(program);
    const digest = await engine.build(ROOT, program, ref, join(ROOT, archive));
    images.push({ program, ref, archive, digest, compressedBytes: await compressedSize(join(ROOT, archive)) });
  }
  return images;
}

async function buildWithout(work: string): Promise<BuiltImage[]> {
  const node = await nodeBase(ROOT, join(IMAGES, 'node'));
  const images: BuiltImage[] = [];
  for (const program of Object.keys(programs) as Program[]) images.push(await buildImage(program, node, work));
  return [...images, await buildSandbox(node, work)];
}

async function namesOf(program: ImageName): Promise<{ version: string; ref: string; archive: string }> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const name = repositories[program];
  return { version, ref: `${name}:${version}`, archive: join('.cache', 'images', `${name}-${version}.tar`) };
}

async function buildImage(program: Program, node: NodeBase, work: string): Promise<BuiltImage> {
  const { version, ref, archive } = await namesOf(program);
  const tree = join(work, program);
  await bundle(programs[program], join(tree, 'app'));
  const app = await packLayer(tree, join(work, `${program}.tar.gz`));
  // A layer of its own: what V8 writes is not the same twice, and the program's layer shall be.
  const compiled = join(work, `${program}-compiled`);
  await mkdir(join(compiled, 'app'), { recursive: true });
  await rename(await compileCache(node.binary, NODE_FLAGS, join(tree, 'app')), join(compiled, CACHE_FOLDER));
  const cache = await packLayer(compiled, join(work, `${program}-compiled.tar.gz`));

  const config = imageConfig(program, version);
  const built = await writeArchive(join(ROOT, archive), ref, [node.layer, app, cache], config);
  return { program, ref, archive, ...built };
}

async function buildSandbox(node: NodeBase, work: string): Promise<BuiltImage> {
  const { version, ref, archive } = await namesOf('sandbox');
  const pieces = await sandboxPieces();
  const tools = await keptLayer(join(IMAGES, 'sandbox'), {
    title: 'Packing Python and a shell for the sandbox',
    from: [join(ROOT, 'scripts', 'image', 'sandbox-rootfs.ts'), ...pieces.map(({ from }) => from)],
    assemble: (tree) => assembleSandbox(pieces, tree),
  });
  const tree = join(work, 'sandbox');
  await assembleRunner(ROOT, tree);
  const runner = await packLayer(tree, join(work, 'sandbox.tar.gz'));
  const config = {
    User: '65532:65532',
    WorkingDir: '/work',
    Entrypoint: SANDBOX_ENTRYPOINT,
    Env: ['PATH=/usr/bin:/bin'],
    Labels: labelsOf('sandbox', version),
  };
  const built = await writeArchive(join(ROOT, archive), ref, [node.layer, tools, runner], config);
  return { program: 'sandbox', ref, archive, ...built };
}

function imageConfig(program: Program, version: string): ImageConfig {
  return {
    User: '65532:65532',
    WorkingDir: '/app',
    Entrypoint: ['/usr/bin/node', ...NODE_FLAGS, '/app/main.js'],
    Env: ['PATH=/usr/bin', ...Object.entries(NODE_ENV).map((pair) => pair.join('=')), ...CACHE_ENV],
    Labels: labelsOf(program, version),
  };
}

function labelsOf(program: ImageName, version: string): Record<string, string> {
  return {
    'org.opencontainers.image.title': repositories[program],
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.description': 'Kadre, a Kubernetes operator for AI agents',
    'org.opencontainers.image.licenses': 'Apache-2.0',
  };
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
