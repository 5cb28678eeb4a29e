import { describe, expect, test } from '@jest/globals';
import { ConfigError, readConfig as read } from './config.ts';

const complete = {
  KADRE_RUNTIME_IMAGE: 'kadre-agent-runtime:0.1.0',
  KADRE_GATEWAY_URL: 'http://kadre-gateway.kadre-system.svc/',
  POD_NAMESPACE: 'kadre-system',
  POD_NAME: 'kadre-0',
};
const aws = { AWS_ACCESS_KEY_ID: 'kadre', AWS_SECRET_ACCESS_KEY: 'canary' };
const KADRE_STORE_URL = 'postgres://kadre:canary@db:5432/kadre';
const keep = { KADRE_RETENTION_KEEP_DAYS: '30' };

const readConfig = (env: NodeJS.ProcessEnv) => read(env, ['operator', 'engine']);

describe('the environment', () => {
  test('gives a whole configuration from the four variables that have no default', () => {
    expect(readConfig(complete)).toEqual({
      store: { file: '/var/lib/kadre/kadre.db', blobs: { folder: '/var/lib/kadre' } },
      housekeeping: { keep: {}, eventDays: 30, conversationDays: 30, intervalMs: 3_600_000 },
      runtimeImage: 'kadre-agent-runtime:0.1.0',
      gatewayUrl: 'http://kadre-gateway.kadre-system.svc',
      gatewayPort: 8081,
      serverPort: 8082,
      healthPort: 8080,
      logLevel: 'info',
      systemNamespace: 'kadre-system',
      identity: 'kadre-0',
    });
  });

  test('has traces kept, all of them unless it is told a part, once there is a collector for them', () => {
    const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
    const endpoint = collector.OTEL_EXPORTER_OTLP_ENDPOINT;
    expect(readConfig({ ...complete, ...collector }).telemetry).toEqual({ endpoint, sampleRatio: 1 });
    expect(readConfig({ ...complete, ...collector, KADRE_TRACES_RATIO: '0.1' }).telemetry?.sampleRatio).toBe(0.1);
    expect(readConfig({ ...complete, KADRE_TRACES_RATIO: '0.1' }).telemetry).toBeUndefined();
  });

  test('asks of an engine alone only for what an engine needs', () => {
    const { POD_NAMESPACE, POD_NAME, KADRE_GATEWAY_URL } = complete;
    expect(read({ POD_NAMESPACE, POD_NAME, KADRE_GATEWAY_URL }, ['engine'])).toMatchObject({ runtimeImage: '' });
    expect(() => read({ POD_NAMESPACE, POD_NAME }, ['engine'])).toThrow(/^.*\n {2}KADRE_GATEWAY_URL must[^\n]*$/);
  });

  test.each([
    ['a missing image', { KADRE_RUNTIME_IMAGE: undefined }, /KADRE_RUNTIME_IMAGE must name/],
    ['an image that is empty', { KADRE_RUNTIME_IMAGE: '' }, /KADRE_RUNTIME_IMAGE must name/],
    ['a gateway address that is no URL', { KADRE_GATEWAY_URL: 'gateway' }, /KADRE_GATEWAY_URL must be the URL/],
    ['a server address that is no URL', { KADRE_SERVER_URL: 'server' }, /KADRE_SERVER_URL must be the URL/],
    ['a port that is a word', { KADRE_GATEWAY_PORT: 'http' }, /KADRE_GATEWAY_PORT must be a port/],
    ['a port that is too large', { KADRE_HEALTH_PORT: '70000' }, /KADRE_HEALTH_PORT must be a port/],
    ['a collector that is no URL', { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, /OTLP_ENDPOINT must be the URL/],
    ['more than all traces', { KADRE_TRACES_RATIO: '2' }, /KADRE_TRACES_RATIO must be the part/],
    ['traces of no number', { KADRE_TRACES_RATIO: 'some' }, /KADRE_TRACES_RATIO must be the part/],
    ['an unknown log level', { KADRE_LOG_LEVEL: 'loud' }, /KADRE_LOG_LEVEL must be debug/],
    ['a store that is no PostgreSQL', { KADRE_STORE_URL: 'mysql://canary@db' }, /KADRE_STORE_URL must look like/],
    ['connections that are not counted', { KADRE_STORE_CONNECTIONS: 'many' }, /KADRE_STORE_CONNECTIONS must be how/],
    ['part of a connection', { KADRE_STORE_CONNECTIONS: '1.5' }, /KADRE_STORE_CONNECTIONS must be how/],
    ['a bucket that cannot be one', { ...aws, KADRE_BLOBS_S3_BUCKET: 'My Bucket' }, /KADRE_BLOBS_S3_BUCKET must have/],
    ['a prefix that leads up', { ...aws, KADRE_BLOBS_S3_PREFIX: 'a/../b' }, /KADRE_BLOBS_S3_PREFIX must have/],
    ['an S3 server without a bucket', { KADRE_BLOBS_S3_ENDPOINT: 'http://s3' }, /KADRE_BLOBS_S3_BUCKET must name/],
    ['a bucket without credentials', { KADRE_BLOBS_S3_BUCKET: 'kadre' }, /AWS_ACCESS_KEY_ID must[^]*AWS_SECRET/],
    ['blobs in two places', { ...aws, KADRE_BLOBS_S3_BUCKET: 'kadre', KADRE_BLOBS_FOLDER: '/b' }, /leave one of them/],
    ['a folder that begins nowhere', { KADRE_BLOBS_FOLDER: 'blobs' }, /KADRE_BLOBS_FOLDER must be the path/],
    ['a PostgreSQL, and blobs on a disk', { KADRE_STORE_URL, KADRE_BLOBS_FOLDER: '/b' }, /SHARED=true[^]*or use S3/],
    ['a PostgreSQL, and an archive on a disk', { KADRE_STORE_URL, ...keep, KADRE_ARCHIVE: '/a' }, /SHARED=true/],
    ['a folder that is perhaps shared', { KADRE_FOLDERS_SHARED: 'perhaps' }, /KADRE_FOLDERS_SHARED must be true or/],
    [
      'a retention of no days',
      { KADRE_RETENTION_KEEP_DAYS: '0' },
      /KADRE_RETENTION_KEEP_DAYS must be a number of days/,
    ],
    ['a retention of no runs', { KADRE_RETENTION_KEEP_RUNS: '-1' }, /KADRE_RETENTION_KEEP_RUNS must be how many/],
    ['an archive that nothing goes into', { KADRE_ARCHIVE: '/archive' }, /set KADRE_RETENTION_KEEP_DAYS, KADRE/],
    ['an archive that is nowhere', { ...keep, KADRE_ARCHIVE: 'archive' }, /KADRE_ARCHIVE must be a folder/],
    ['an archive in no bucket', { ...keep, ...aws, KADRE_ARCHIVE: 's3://' }, /KADRE_ARCHIVE must be a folder/],
    ['an archive without credentials', { ...keep, KADRE_ARCHIVE: 's3://kadre/runs' }, /AWS_ACCESS_KEY_ID must/],
  ])('with %s is refused by the name of the variable, and shows no secret', (_what, change, message) => {
    const reading = () => readConfig({ ...complete, ...change });
    expect(reading).toThrow(message);
    expect(reading).toThrow(ConfigError);
    expect(reading).not.toThrow(/canary/);
  });

  test('with several faults names them all at once', () => {
    const all = /KADRE_RUNTIME_IMAGE[^]*KADRE_GATEWAY_URL[^]*KADRE_HEALTH_PORT[^]*POD_NAMESPACE[^]*POD_NAME/;
    expect(() => readConfig({ KADRE_HEALTH_PORT: '0' })).toThrow(all);
  });
});

describe('what is stored lies', () => {
  test.each([
    ['in a file, with large values in a bucket', {}, { file: '/var/lib/kadre/kadre.db' }],
    ['in PostgreSQL, with large values in a bucket', { KADRE_STORE_URL }, { url: KADRE_STORE_URL }],
  ])('%s', (_what, change, store) => {
    const s3 = { KADRE_BLOBS_S3_BUCKET: 'kadre', KADRE_BLOBS_S3_REGION: 'eu-west-1', KADRE_BLOBS_S3_PREFIX: 'a/b' };
    const endpoint = 'https://s3.eu-west-1.amazonaws.com';
    const blobs = { s3: { endpoint, bucket: 'kadre', region: 'eu-west-1', prefix: 'a/b' } };
    expect(readConfig({ ...complete, ...aws, ...s3, ...change }).store).toEqual({ ...store, blobs });
  });

  test('in PostgreSQL with large values, unless a place for these is named', () => {
    expect(readConfig({ ...complete, KADRE_STORE_URL, KADRE_STORE_CONNECTIONS: '4' }).store).toEqual({
      url: KADRE_STORE_URL,
      connections: 4,
      blobs: 'database',
    });
  });

  test('in a folder that all pods see, if that is said of it', () => {
    const shared = { KADRE_STORE_URL, KADRE_BLOBS_FOLDER: '/blobs', KADRE_FOLDERS_SHARED: 'true' };
    expect(readConfig({ ...complete, ...shared }).store).toMatchObject({ blobs: { folder: '/blobs' } });
  });
});

describe('what is not kept goes', () => {
  test.each([
    ['nowhere', {}, undefined],
    ['into a folder', { KADRE_ARCHIVE: '/archive' }, { folder: '/archive' }],
    [
      'into a bucket of the server that has the blobs',
      { KADRE_ARCHIVE: 's3://old/runs/', KADRE_BLOBS_S3_BUCKET: 'kadre', KADRE_BLOBS_S3_ENDPOINT: 'http://minio:9000' },
      { s3: { endpoint: 'http://minio:9000', bucket: 'old', prefix: 'runs' } },
    ],
    [
      'into a bucket of another server',
      { KADRE_ARCHIVE: 's3://old', KADRE_ARCHIVE_S3_ENDPOINT: 'http://tape', KADRE_ARCHIVE_S3_REGION: 'cellar' },
      { s3: { endpoint: 'http://tape', bucket: 'old', region: 'cellar' } },
    ],
  ])('%s', (_where, change, archive) => {
    const { housekeeping } = readConfig({ ...complete, ...aws, ...keep, KADRE_RETENTION_KEEP_RUNS: '500', ...change });
    expect(housekeeping.keep).toEqual({ keepDays: 30, keepRuns: 500 });
    expect(housekeeping.archive).toEqual(archive);
  });
});
