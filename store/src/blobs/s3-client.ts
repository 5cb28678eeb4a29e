// One signed request to an S3 server, repeated while its failure may pass.
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { AwsV4Signer } from 'aws4fetch';
import { StoreFullError, StoreUnusableError } from '../errors.ts';
import { element } from './s3-listing.ts';

export interface S3Options {
  /** URL of the server, such as https://s3.eu-central-1.amazonaws.com or http://minio.minio:9000. */
  endpoint: string;
  bucket: string;
  /** us-east-1 if absent, which servers other than Amazon's mostly take. */
  region?: string | undefined;
  /** Folder within the bucket. */
  prefix?: string | undefined;
  /** Whether the bucket is named in the URL's path, which is the default, or in its host. */
  pathStyle?: boolean | undefined;
  /** Asked before each request, so that they may change; what the environment says if absent. */
  credentials?: (() => S3Credentials | Promise<S3Credentials>) | undefined;
  /** How often a request is tried, and how long to wait before the second time, doubled each time. 6 and 100 ms. */
  retry?: { attempts: number; firstDelayMs: number } | undefined;
  /** How long one try may take. 60 s. */
  timeoutMs?: number | undefined;
}

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string | undefined;
}

export interface S3Request {
  method: 'GET' | 'PUT' | 'DELETE';
  /** Absent: the bucket itself. */
  key?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array;
}

export interface S3Answer {
  status: number;
  body: Uint8Array;
  /** What the server calls the error, such as NoSuchKey. */
  code: string | undefined;
}

export interface S3Client {
  /** Where, for messages. */
  place: string;
  /** Throws StoreUnusableError if no try brought an answer. */
  send: (request: S3Request) => Promise<S3Answer>;
}

const MAX_DELAY_MS = 5_000;
const PASSING = new Set([408, 429, 500, 502, 503, 504]);
/** Of conflicts, those that end by themselves. */
const PASSING_CODES = new Set(['ConditionalRequestConflict', 'OperationAborted']);

/** Throws a TypeError for an endpoint that is no http(s) URL, and for a bucket that cannot be one. */
export function s3Client(options: S3Options): S3Client {
  const base = bucketUrl(options);
  const { attempts, firstDelayMs } = options.retry ?? { attempts: 6, firstDelayMs: 100 };
  const place = `bucket ${options.bucket} at ${new URL(options.endpoint).origin}`;
  return {
    place,
    async send(request) {
      for (let attempt = 1; ; attempt++) {
        const outcome = await tryOnce(base, options, request);
        if (isFinal(outcome)) return outcome;
        if (attempt === attempts) throw exhausted(place, attempts, outcome);
        await delay(Math.random() * Math.min(MAX_DELAY_MS, firstDelayMs * 2 ** attempt));
      }
    },
  };
}

/** Credentials by the names that Amazon's tools use. Throws StoreUnusableError if they are not set. */
export function credentialsFrom(env: NodeJS.ProcessEnv): S3Credentials {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = env;
  if (!accessKeyId || !secretAccessKey) {
    throw new StoreUnusableError('no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  return { accessKeyId, secretAccessKey, ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}) };
}

/** URL of the bucket, with a slash at its end. */
export function bucketUrl({ endpoint, bucket, pathStyle = true }: S3Options): URL {
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`"${endpoint}" is no endpoint of S3: give a URL such as https://s3.eu-central-1.amazonaws.com`);
  }
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new TypeError(`"${bucket}" is no bucket's name: use 3 to 63 lower-case letters, digits, dots and hyphens`);
  }
  const path = url.pathname.replace(/\/*$/, '/');
  return pathStyle
    ? new URL(`${url.origin}${path}${bucket}/`)
    : new URL(`${url.protocol}//${bucket}.${url.host}${path}`);
}

/** No answer came. */
interface Silence {
  error: unknown;
}

async function tryOnce(base: URL, options: S3Options, request: S3Request): Promise<S3Answer | Silence> {
  const signed = await sign(base, options, request);
  try {
    const response = await fetch(signed.url, {
      method: signed.method,
      headers: signed.headers,
      ...(request.body ? { body: new Uint8Array(request.body) } : {}),
      // A signature is good for one host alone.
      redirect: 'manual',
      signal: AbortSignal.timeout(options.timeoutMs ?? 60_000),
    });
    const body = new Uint8Array(await response.arrayBuffer());
    const failed = response.status >= 300;
    return {
      status: response.status,
      body,
      code: failed ? element(new TextDecoder().decode(body), 'Code') : undefined,
    };
  } catch (error) {
    return { error };
  }
}

async function sign(base: URL, options: S3Options, { method, key = '', query, headers, body }: S3Request) {
  const url = new URL(key, base);
  url.search = new URLSearchParams(query).toString();
  const credentials = await (options.credentials ?? (() => credentialsFrom(process.env)))();
  const signer = new AwsV4Signer({
    method,
    url: url.href,
    headers: {
      ...headers,
      // The server holds what it got against this, so that a body that was cut is refused.
      'x-amz-content-sha256': createHash('sha256')
        .update(body ?? '')
        .digest('hex'),
      ...(body ? { 'content-type': 'application/octet-stream' } : {}),
    },
    service: 's3',
    region: options.region ?? 'us-east-1',
    accessKeyId: credentials.accessKeyId,
    secretAccessKey: credentials.secretAccessKey,
    ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
  });
  return await signer.sign();
}

/** Whether it is an answer that another try would not change. */
function isFinal(outcome: S3Answer | Silence): outcome is S3Answer {
  if ('error' in outcome) return false;
  const { status, code = '' } = outcome;
  return !PASSING.has(status) && !(status === 409 && PASSING_CODES.has(code));
}

function exhausted(place: string, attempts: number, outcome: S3Answer | Silence): Error {
  const what = 'error' in outcome ? reason(outcome.error) : `the server says ${said(outcome)}`;
  return new StoreUnusableError(
    `${place} cannot be used after ${attempts} tries (${what}): check that the server runs and can be reached from here`,
    'error' in outcome ? { cause: outcome.error } : {},
  );
}

/** Why fetch failed stands in the cause of its error. */
function reason(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  if ('cause' in error && error.cause !== undefined) return reason(error.cause);
  return 'message' in error && error.message !== '' ? String(error.message) : 'code' in error ? String(error.code) : '';
}

function said({ status, code }: S3Answer): string {
  return code === undefined ? String(status) : `${status} ${code}`;
}

const ADVICE: [RegExp, string][] = [
  [
    /^(InvalidAccessKeyId|XAdminUserNotFound|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired)$/,
    'check the credentials',
  ],
  [/^RequestTimeTooSkewed$/, "set this machine's clock"],
  [/^AccessDenied$/, 'the credentials need the rights to get, put, delete and list objects'],
  [/^NoSuchBucket$/, 'make the bucket, or correct its name'],
  [/^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed)$/, 'correct the endpoint or the region'],
];
const FULL = /^(XMinioStorageFull|QuotaExceeded|InsufficientStorage|InsufficientCapacity|EntityTooLarge)$/;

/** What to throw for an answer that is a refusal. Says what to mend, and never shows a secret. */
export function complaint({ place }: S3Client, answer: S3Answer): Error {
  const { status, code = '' } = answer;
  if (status === 507 || FULL.test(code)) return new StoreFullError(`no room left in ${place} (${said(answer)})`);
  const fallback = status === 403 ? 'check the credentials and their rights' : 'check the endpoint, bucket and region';
  const advice = ADVICE.find(([codes]) => codes.test(code))?.[1] ?? fallback;
  return new StoreUnusableError(`${place} refuses (${said(answer)}): ${advice}`);
}
