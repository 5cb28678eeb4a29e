import type { Report } from './report.ts';

export interface UpOptions {
  /** How many pretend GPUs the node advertises. */
  readonly gpus: number;
}

/** A cluster to develop and test against, wherever it comes from. */
export interface Cluster {
  /** One line about what it is. */
  readonly description: string;
  /** What to set KUBECONFIG to. */
  readonly kubeconfig: string;
  /** Makes the cluster ready, from whatever state it is in. Throws an Error that says what is wrong. */
  up(options: UpOptions, report: Report): Promise<void>;
  /** Removes what `up` made. */
  down(report: Report): Promise<void>;
  /** Reports what runs; resolves to whether the cluster is ready. */
  status(report: Report): Promise<boolean>;
  /** Makes the images of a docker-archive or an OCI archive available to pods. */
  loadArchive(archive: string, report: Report): Promise<void>;
  /** The program, and its first arguments, that is kubectl here. */
  kubectl(report: Report): Promise<readonly [string, ...string[]]>;
}
