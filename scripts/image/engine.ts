// Container engines that can build the Dockerfile. Where there is one, the images are those that a release would have.
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createGzip } from 'node:zlib';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ContainerEngine {
  name: 'docker' | 'buildah';
  /** Asked for by name: then its failure is final. */
  required: boolean;
  /**
   * Builds one target of the Dockerfile in `root`, tags it `ref` and writes it to `archive` as `docker save` does.
   *
   * @returns the image's digest
   * @throws with the engine's own words
   */
  build(root: string, target: string, ref: string, archive: string): Promise<string>;
}

/**
 * Docker if its engine answers, else buildah if it is installed. `KADRE_IMAGE_BUILDER=docker|buildah|none` decides
 * otherwise; `none` builds without an engine.
 */
export async function containerEngine(env = process.env): Promise<ContainerEngine | undefined> {
  const wanted = env['KADRE_IMAGE_BUILDER'] ?? '';
  if (wanted === 'none') return undefined;
  if (wanted === 'docker') return docker(env, true);
  if (wanted === 'buildah') return buildah(env, true);
  if (wanted !== '') throw new Error(`KADRE_IMAGE_BUILDER must be docker, buildah or none, not "${wanted}".`);
  if (await works(env, 'docker', 'info')) return docker(env, false);
  if (await works(env, 'buildah', '--version')) return buildah(env, false);
  return undefined;
}

function docker(env: NodeJS.ProcessEnv, required: boolean): ContainerEngine {
  return {
    name: 'docker',
    required,
    build: async (root, target, ref, archive) => {
      const ask = (...args: string[]) => engine({ cwd: root, env }, 'docker', args);
      await ask('build', '--target', target, '--tag', ref, '.');
      await ask('save', '--output', archive, ref);
      return ask('image', 'inspect', '--format', '{{.Id}}', ref);
    },
  };
}

function buildah(env: NodeJS.ProcessEnv, required: boolean): ContainerEngine {
  return {
    name: 'buildah',
    required,
    build: async (root, target, ref, archive) => {
      const ask = (...args: string[]) => engine({ cwd: root, env }, 'buildah', args);
      await ask('build', '--layers', '--target', target, '--tag', ref, '.');
      // An archive that is there already would be added to.
      await rm(archive, { force: true });
      await ask('push', ref, `docker-archive:${archive}:${ref}`);
      return ask('inspect', '--type', 'image', '--format', '{{.FromImageID}}', ref);
    },
  };
}

/** How many bytes the file has when it is compressed, about what a registry would store. */
export async function compressedSize(file: string): Promise<number> {
  let size = 0;
  for await (const chunk of createReadStream(file).pipe(createGzip())) size += (chunk as Buffer).byteLength;
  return size;
}

async function works(env: NodeJS.ProcessEnv, program: string, ...args: string[]): Promise<boolean> {
  return run(program, args, { env }).then(
    () => true,
    () => false,
  );
}

interface Place {
  cwd: string;
  env: NodeJS.ProcessEnv;
}

async function engine(place: Place, program: string, args: string[]): Promise<string> {
  try {
    const { stdout } = await run(program, args, { ...place, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const words = stderr.trim().split('\n').slice(-15).join('\n') || String(error);
    throw new Error(
      `${program} ${args[0] ?? ''} failed:\n${words}\nKADRE_IMAGE_BUILDER=none builds the images without an engine.`,
      { cause: error },
    );
  }
}
