import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ensureBuilt } from './go-build.ts';
import type { Report } from './report.ts';

/** Absolute paths of the programs that the Go module builds. */
export interface Binaries {
  /** All Kubernetes programs, etcd, kubectl and our own helpers; the first argument says which. */
  readonly kadreCluster: string;
  readonly coredns: string;
  /** Runs a program for as long as its standard input stays open. */
  readonly tether: string;
  /** Static; the only content of the pause image. */
  readonly pause: string;
  /** Static; what the cluster's own tests run in pods. */
  readonly witness: string;
}

const directory = path.join(import.meta.dirname, 'go');

/**
 * Builds the programs, unless a build of exactly these sources is there already: about ten minutes on two cores the first
 * time, milliseconds afterwards. Several processes may ask at once.
 *
 * Throws an Error that says what to do when Go is missing or too old, or when the build fails.
 */
export async function ensureBinaries(report: Report = () => undefined): Promise<Binaries> {
  const announcement = 'building Kubernetes from Go modules; the first time takes about ten minutes on two cores';
  const module = { directory, packages: ['./...'], linkerFlags: linkerFlags(), announcement };
  const built = await ensureBuilt(module, report);
  const binary = (name: string): string => path.join(built, name);
  return {
    kadreCluster: binary('kadre-cluster'),
    coredns: binary('coredns'),
    tether: binary('tether'),
    pause: binary('pause'),
    witness: binary('witness'),
  };
}

// A Kubernetes program tells clients the version that is linked in; without it they would see v0.0.0.
function linkerFlags(): string[] {
  const required = /k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(
    readFileSync(path.join(directory, 'go.mod'), 'utf8'),
  );
  const [, gitVersion = '', gitMajor = '', gitMinor = ''] = required ?? [];
  const variables = Object.entries({ gitVersion, gitMajor, gitMinor, gitTreeState: 'clean' });
  return ['-s', '-w', ...variables.map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)];
}
