// A real API server with Kadre's kinds, and the requests that the tests of the kinds make.
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GROUP, kinds, VERSION, type Kind } from '@kadre/crds';
import { parse } from 'yaml';
import { type ControlPlane, startControlPlane } from '../../cluster/control-plane.ts';
import { capture, eventually } from '../../support/kubectl.ts';

export type KindName = keyof typeof kinds;

export interface Definition {
  status: { conditions: { type: string; status: string; message: string }[] };
}

/** One object as the API server gives it back. */
export interface StoredObject {
  metadata: { name: string; generation: number; resourceVersion: string };
  spec: Record<string, unknown>;
  status?: Record<string, unknown>;
}

export interface Answer {
  status: number;
  /** What the API server complains about; empty when it does not. */
  message: string;
  /** The object, if `message` is empty. */
  body: StoredObject;
}

export class KindCluster {
  readonly #controlPlane: ControlPlane;

  private constructor(controlPlane: ControlPlane) {
    this.#controlPlane = controlPlane;
  }

  /** Installs the committed manifests and waits until each kind is served. */
  static async start(): Promise<KindCluster> {
    const cluster = new KindCluster(await startControlPlane({ controllerManager: false, scheduler: false }));
    for (const kind of Object.values(kinds)) await cluster.#install(kind);
    return cluster;
  }

  stop(): Promise<void> {
    return this.#controlPlane.stop();
  }

  async definition(name: KindName): Promise<Definition> {
    const { plural } = kinds[name];
    return this.#controlPlane.api.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.${GROUP}`);
  }

  /** The schema that the API server publishes, from which `kubectl explain` reads. */
  async publishedSchema<Schema>(name: KindName): Promise<Schema> {
    const id = `dev.kadre.${VERSION}.${name}`;
    return eventually(`the schema of ${name}`, async () => {
      const document = await this.#controlPlane.api.get<{ components: { schemas: Record<string, Schema> } }>(
        `/openapi/v3/apis/${GROUP}/${VERSION}`,
      );
      return document.components.schemas[id];
    });
  }

  async create(name: KindName, object: object, query = 'fieldValidation=Strict'): Promise<Answer> {
    return this.call('POST', `${path(name)}?${query}`, manifest(name, object));
  }

  /** Would the API server take this? Nothing is stored. */
  judge(name: KindName, object: object): Promise<Answer> {
    return this.create(name, object, 'fieldValidation=Strict&dryRun=All');
  }

  get(name: KindName, object: string): Promise<Answer> {
    return this.call('GET', `${path(name)}/${object}`);
  }

  merge(name: KindName, object: string, patch: object): Promise<Answer> {
    return this.call('PATCH', `${path(name)}/${object}`, patch, 'application/merge-patch+json');
  }

  /** Server-side apply, as `kubectl apply --server-side` and GitOps tools do. */
  apply(name: KindName, object: string, fields: object, manager: string): Promise<Answer> {
    const whole = manifest(name, { metadata: { name: object }, ...fields });
    return this.call('PATCH', `${path(name)}/${object}?fieldManager=${manager}`, whole, 'application/apply-patch+yaml');
  }

  async call(method: string, url: string, body?: object, contentType?: string): Promise<Answer> {
    const answer = await this.#controlPlane.api.call(method, url, body, contentType);
    const { message = '' } = answer.body as { message?: string };
    return { status: answer.status, message: answer.status < 300 ? '' : message, body: answer.body as StoredObject };
  }

  kubectl(args: string[], input?: string): Promise<string> {
    const { binaries, adminKubeconfigPath } = this.#controlPlane;
    return capture(binaries.kadreCluster, ['kubectl', '--kubeconfig', adminKubeconfigPath, ...args], input);
  }

  async #install({ kind, plural }: Kind): Promise<void> {
    const root = join(dirname(import.meta.dirname), '..', '..');
    const object = parse(await readFile(join(root, `crds/manifests/${plural}.yaml`), 'utf8')) as object;
    await this.#controlPlane.api.apply(
      `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.${GROUP}`,
      object,
    );
    await eventually(
      `${kind} to be served`,
      async () => (await this.call('GET', path(kind as KindName))).status === 200,
    );
  }
}

/** Where objects of a kind are: in the namespace `default`, or in the cluster. */
export function path(name: KindName): string {
  const { plural, scope } = kinds[name];
  const namespace = scope === 'Cluster' ? '' : '/namespaces/default';
  return `/apis/${GROUP}/${VERSION}${namespace}/${plural}`;
}

function manifest(name: KindName, object: object): object {
  return { apiVersion: `${GROUP}/${VERSION}`, kind: name, metadata: { generateName: 'test-' }, ...object };
}
