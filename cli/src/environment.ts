// The environment variables of the control plane: their names, what they may hold, and how to mend them.
import { isPostgres } from '@kadre/store';
import { z } from 'zod';

const wholeNumber = (name: string, least: number, most: number, what: string) =>
  z.coerce.number({ error: `${name} must be ${what}` }).refine((n) => Number.isInteger(n) && n >= least && n <= most, {
    error: `${name} must be ${what}`,
  });

const port = (name: string, fallback: number) =>
  wholeNumber(name, 1, 65_535, 'a port number, from 1 to 65535').default(fallback);

const days = (name: string) => wholeNumber(name, 1, 36_500, 'a number of days, from 1 to 36500');

const url = (name: string, what: string) =>
  z.url({ protocol: /^https?$/, error: `${name} must be ${what}, such as http://minio.minio.svc:9000` });

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PART = '[A-Za-z0-9_=-][A-Za-z0-9_.=-]{0,199}';
const PREFIX = new RegExp(`^${PART}(/${PART})*$`);
const prefixRule = 'parts of letters, digits and _ . = -, with slashes between them';

const ratioRule = 'KADRE_TRACES_RATIO must be the part of all traces that is kept, from 0 to 1';

export const environment = z.object({
  KADRE_DATA_DIR: z.string().default('/var/lib/kadre'),
  KADRE_RUNTIME_IMAGE: z.string().optional(),
  KADRE_SANDBOX_IMAGE: z.string().optional(),
  KADRE_GATEWAY_URL: url('KADRE_GATEWAY_URL', 'the URL under which agents and engines reach the gateway').optional(),
  KADRE_GATEWAY_PORT: port('KADRE_GATEWAY_PORT', 8081),
  KADRE_SERVER_URL: url('KADRE_SERVER_URL', 'the URL under which programs in the cluster reach the server').optional(),
  KADRE_SERVER_PORT: port('KADRE_SERVER_PORT', 8082),
  KADRE_HEALTH_PORT: port('KADRE_HEALTH_PORT', 8080),
  KADRE_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'KADRE_LOG_LEVEL must be debug, info, warn or error' })
    .default('info'),
  KADRE_CLUSTER_DOMAIN: z.string().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({
      protocol: /^https?$/,
      error: 'OTEL_EXPORTER_OTLP_ENDPOINT must be the URL of a collector, such as http://collector.monitoring.svc:4318',
    })
    .optional(),
  KADRE_TRACES_RATIO: z.coerce
    .number({ error: ratioRule })
    .refine((ratio) => ratio >= 0 && ratio <= 1, { error: ratioRule })
    .default(1),
  POD_NAMESPACE: z.string({ error: 'POD_NAMESPACE must name the namespace that Kadre runs in' }),
  POD_NAME: z.string({ error: 'POD_NAME must name this replica' }),

  // The message never shows the value: there is a password in it.
  KADRE_STORE_URL: z
    .string()
    .refine(isPostgres, {
      error:
        'KADRE_STORE_URL must look like postgres://user:password@host:5432/database; leave it out to keep the store in a file',
    })
    .optional(),
  KADRE_STORE_CONNECTIONS: wholeNumber(
    'KADRE_STORE_CONNECTIONS',
    1,
    1000,
    'how many connections each role may have for statements, from 1 to 1000',
  ).optional(),
  KADRE_BLOBS_FOLDER: folder('KADRE_BLOBS_FOLDER').optional(),
  KADRE_BLOBS_S3_BUCKET: z
    .string()
    .regex(BUCKET, 'KADRE_BLOBS_S3_BUCKET must have 3 to 63 lower-case letters, digits, dots and hyphens')
    .optional(),
  KADRE_BLOBS_S3_ENDPOINT: url('KADRE_BLOBS_S3_ENDPOINT', 'the URL of an S3 server').optional(),
  KADRE_BLOBS_S3_REGION: z.string().optional(),
  KADRE_BLOBS_S3_PREFIX: z.string().regex(PREFIX, `KADRE_BLOBS_S3_PREFIX must have ${prefixRule}`).optional(),
  KADRE_FOLDERS_SHARED: z
    .enum(['true', 'false'], { error: 'KADRE_FOLDERS_SHARED must be true or false' })
    .default('false'),

  KADRE_RETENTION_KEEP_DAYS: days('KADRE_RETENTION_KEEP_DAYS').optional(),
  KADRE_RETENTION_KEEP_RUNS: wholeNumber(
    'KADRE_RETENTION_KEEP_RUNS',
    1,
    1_000_000_000,
    'how many runs of each Workflow or Agent are kept, 1 or more',
  ).optional(),
  KADRE_RETENTION_EVENT_DAYS: days('KADRE_RETENTION_EVENT_DAYS').default(30),
  KADRE_RETENTION_CONVERSATION_DAYS: days('KADRE_RETENTION_CONVERSATION_DAYS').default(30),
  KADRE_RETENTION_INTERVAL_SECONDS: wholeNumber(
    'KADRE_RETENTION_INTERVAL_SECONDS',
    1,
    86_400,
    'how often it is looked for what to remove, from 1 to 86400 seconds',
  ).default(3600),
  KADRE_ARCHIVE: z
    .string()
    .refine((place) => place.startsWith('/') || bucketAndPrefix(place) !== undefined, {
      error: `KADRE_ARCHIVE must be a folder, such as /archive, or s3://bucket/prefix with a prefix of ${prefixRule}`,
    })
    .optional(),
  KADRE_ARCHIVE_S3_ENDPOINT: url('KADRE_ARCHIVE_S3_ENDPOINT', 'the URL of an S3 server').optional(),
  KADRE_ARCHIVE_S3_REGION: z.string().optional(),
});

export type Environment = z.infer<typeof environment>;

function folder(name: string) {
  return z.string().startsWith('/', `${name} must be the path of a folder, from the root: /var/lib/kadre/blobs`);
}

/** Of `s3://bucket` and `s3://bucket/prefix`. */
export function bucketAndPrefix(place: string): { bucket: string; prefix?: string } | undefined {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)(?:\/(.*?))?\/*$/.exec(place) ?? [];
  if (!BUCKET.test(bucket) || (prefix !== '' && !PREFIX.test(prefix))) return undefined;
  return { bucket, ...(prefix !== '' && { prefix }) };
}
