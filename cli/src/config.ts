// What the control plane is told by its environment. The manifests of `config/` and `charts/kadre` set these.
import { bucketAndPrefix, environment, type Environment } from './environment.ts';
import type { Place, S3Place } from './places.ts';
import type { RoleName } from './role-name.ts';

/** Plain data, so that it can be handed to a worker thread. */
export interface Config {
  store: StorePlace;
  housekeeping: Housekeeping;
  /** Empty where no operator runs: nobody else makes pods of agents. */
  runtimeImage: string;
  /** Absent: code runs only in images that Tools and steps name themselves. */
  sandboxImage?: string;
  /** Empty where neither an operator nor an engine runs. */
  gatewayUrl: string;
  gatewayPort: number;
  /** Absent: webhooks have no address in the status of their Triggers. */
  serverUrl?: string;
  serverPort: number;
  healthPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Such as cluster.local. Absent: names end in .svc, and each pod's search path completes them. */
  clusterDomain?: string;
  /** Absent: nobody wants traces. */
  telemetry?: { endpoint: string; sampleRatio: number };
  systemNamespace: string;
  identity: string;
}

/** A file of this process, or a database that several share. Large values lie beside it, or in the database itself. */
export type StorePlace =
  { file: string; blobs: Place } | { url: string; connections?: number; blobs: Place | 'database' };

export interface Housekeeping {
  /** Absent limits don't hold; without any, runs are kept for ever. */
  keep: { keepDays?: number; keepRuns?: number };
  eventDays: number;
  conversationDays: number;
  intervalMs: number;
  /** Where runs go that are not kept; absent: nowhere. */
  archive?: Place;
}

export class ConfigError extends Error {
  override name = 'ConfigError';
}

/**
 * @param roles those that this process runs: what nobody needs need not be set
 * @throws {ConfigError}, whose message has a line for each variable that is missing or wrong
 */
export function readConfig(env: Record<string, string | undefined>, roles: readonly RoleName[]): Config {
  // Manifests and Secrets set to nothing what is not meant to be there.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(set);
  const faults = missing(set, roles);
  faults.push(...(parsed.success ? contradictions(parsed.data) : parsed.error.issues.map(({ message }) => message)));
  if (!parsed.success || faults.length > 0) {
    throw new ConfigError(`The environment is not right:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
  }
  return configOf(parsed.data);
}

const ofOperator = {
  KADRE_RUNTIME_IMAGE: 'must name the agent-runtime image',
};
const ofOperatorAndEngine = {
  KADRE_GATEWAY_URL: 'must be the URL under which agents and engines reach the gateway',
};
const ofS3 = {
  AWS_ACCESS_KEY_ID: 'must be set to use a bucket',
  AWS_SECRET_ACCESS_KEY: 'must be set to use a bucket',
};

function missing(env: Record<string, string | undefined>, roles: readonly RoleName[]): string[] {
  const usesS3 = env['KADRE_BLOBS_S3_BUCKET'] !== undefined || env['KADRE_ARCHIVE']?.startsWith('s3:');
  const needed = {
    ...(roles.includes('operator') && ofOperator),
    ...((roles.includes('operator') || roles.includes('engine')) && ofOperatorAndEngine),
    ...(usesS3 && ofS3),
  };
  return Object.entries(needed).flatMap(([name, what]) => (env[name] === undefined ? [`${name} ${what}`] : []));
}

function contradictions(e: Environment): string[] {
  const faults: string[] = [];
  const shared = e.KADRE_FOLDERS_SHARED === 'true';
  const unshared = (name: string, instead: string) =>
    `${name}: with PostgreSQL, several pods work on one store and must see the same folder; set KADRE_FOLDERS_SHARED=true if ` +
    `they do, or ${instead}`;
  if (e.KADRE_BLOBS_FOLDER !== undefined && e.KADRE_BLOBS_S3_BUCKET !== undefined) {
    faults.push('KADRE_BLOBS_FOLDER and KADRE_BLOBS_S3_BUCKET: blobs are in one place; leave one of them out');
  }
  if (e.KADRE_BLOBS_S3_BUCKET === undefined && e.KADRE_BLOBS_S3_ENDPOINT !== undefined) {
    faults.push('KADRE_BLOBS_S3_BUCKET must name the bucket when KADRE_BLOBS_S3_ENDPOINT is set');
  }
  if (e.KADRE_STORE_URL !== undefined && !shared) {
    if (e.KADRE_BLOBS_FOLDER !== undefined) {
      faults.push(unshared('KADRE_BLOBS_FOLDER', 'use S3, or leave it out: then they stay in the database'));
    }
    if (e.KADRE_ARCHIVE?.startsWith('/')) faults.push(unshared('KADRE_ARCHIVE', 'archive to s3://…'));
  }
  if (e.KADRE_ARCHIVE !== undefined && e.KADRE_RETENTION_KEEP_DAYS === undefined && !e.KADRE_RETENTION_KEEP_RUNS) {
    faults.push(
      'KADRE_ARCHIVE takes what is no longer kept: set KADRE_RETENTION_KEEP_DAYS, KADRE_RETENTION_KEEP_RUNS, or both',
    );
  }
  return faults;
}

function configOf(e: Environment): Config {
  return {
    store: storeOf(e),
    housekeeping: housekeepingOf(e),
    runtimeImage: e.KADRE_RUNTIME_IMAGE ?? '',
    ...(e.KADRE_SANDBOX_IMAGE !== undefined && { sandboxImage: e.KADRE_SANDBOX_IMAGE }),
    gatewayUrl: (e.KADRE_GATEWAY_URL ?? '').replace(/\/+$/, ''),
    gatewayPort: e.KADRE_GATEWAY_PORT,
    ...(e.KADRE_SERVER_URL !== undefined && { serverUrl: e.KADRE_SERVER_URL.replace(/\/+$/, '') }),
    serverPort: e.KADRE_SERVER_PORT,
    healthPort: e.KADRE_HEALTH_PORT,
    logLevel: e.KADRE_LOG_LEVEL,
    ...(e.KADRE_CLUSTER_DOMAIN !== undefined && { clusterDomain: e.KADRE_CLUSTER_DOMAIN }),
    ...(e.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined && {
      telemetry: { endpoint: e.OTEL_EXPORTER_OTLP_ENDPOINT, sampleRatio: e.KADRE_TRACES_RATIO },
    }),
    systemNamespace: e.POD_NAMESPACE,
    identity: e.POD_NAME,
  };
}

function storeOf(e: Environment): StorePlace {
  const bucket = e.KADRE_BLOBS_S3_BUCKET;
  const chosen =
    bucket !== undefined
      ? { s3: blobBucket(e, bucket) }
      : e.KADRE_BLOBS_FOLDER !== undefined
        ? { folder: e.KADRE_BLOBS_FOLDER }
        : undefined;
  if (e.KADRE_STORE_URL === undefined) {
    return { file: `${e.KADRE_DATA_DIR}/kadre.db`, blobs: chosen ?? { folder: e.KADRE_DATA_DIR } };
  }
  return {
    url: e.KADRE_STORE_URL,
    ...(e.KADRE_STORE_CONNECTIONS !== undefined && { connections: e.KADRE_STORE_CONNECTIONS }),
    blobs: chosen ?? 'database',
  };
}

function blobBucket(e: Environment, bucket: string): S3Place {
  const prefix = e.KADRE_BLOBS_S3_PREFIX;
  return s3(e.KADRE_BLOBS_S3_ENDPOINT, e.KADRE_BLOBS_S3_REGION, { bucket, ...(prefix !== undefined && { prefix }) });
}

function housekeepingOf(e: Environment): Housekeeping {
  const { KADRE_RETENTION_KEEP_DAYS: keepDays, KADRE_RETENTION_KEEP_RUNS: keepRuns } = e;
  return {
    keep: { ...(keepDays !== undefined && { keepDays }), ...(keepRuns !== undefined && { keepRuns }) },
    eventDays: e.KADRE_RETENTION_EVENT_DAYS,
    conversationDays: e.KADRE_RETENTION_CONVERSATION_DAYS,
    intervalMs: e.KADRE_RETENTION_INTERVAL_SECONDS * 1000,
    ...(e.KADRE_ARCHIVE !== undefined && { archive: archiveOf(e, e.KADRE_ARCHIVE) }),
  };
}

/** An archive in a bucket is on the same server as the blobs, unless it is told otherwise. */
function archiveOf(e: Environment, place: string): Place {
  const found = bucketAndPrefix(place);
  if (!found) return { folder: place };
  const endpoint = e.KADRE_ARCHIVE_S3_ENDPOINT ?? e.KADRE_BLOBS_S3_ENDPOINT;
  return { s3: s3(endpoint, e.KADRE_ARCHIVE_S3_REGION ?? e.KADRE_BLOBS_S3_REGION, found) };
}

function s3(endpoint: string | undefined, region: string | undefined, where: { bucket: string; prefix?: string }) {
  return {
    endpoint: endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`,
    ...where,
    ...(region !== undefined && { region }),
  };
}
