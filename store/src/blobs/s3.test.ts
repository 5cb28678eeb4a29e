// What needs no server; the rest is in test/integration/store.
import { describe, expect, test } from '@jest/globals';
import { StoreUnusableError } from '../errors.ts';
import { bucketUrl, credentialsFrom } from './s3-client.ts';
import { readListing } from './s3-listing.ts';

describe('the URL of a bucket', () => {
  test.each([
    ['names the bucket in its path', { endpoint: 'http://minio:9000' }, 'http://minio:9000/kadre/'],
    ['keeps a path of the endpoint', { endpoint: 'https://s3.example/root/' }, 'https://s3.example/root/kadre/'],
    [
      'names the bucket in its host if asked to',
      { endpoint: 'https://s3.eu-central-1.amazonaws.com', pathStyle: false },
      'https://kadre.s3.eu-central-1.amazonaws.com/',
    ],
  ])('%s', (_, options, url) => {
    expect(bucketUrl({ bucket: 'kadre', ...options }).href).toBe(url);
  });

  test.each([
    ['minio:9000', 'kadre', /give a URL such as/],
    ['', 'kadre', /give a URL such as/],
    ['file:///data', 'kadre', /give a URL such as/],
    ['http://minio:9000', 'Kadre', /lower-case/],
    ['http://minio:9000', '../kadre', /lower-case/],
    ['http://minio:9000', '', /lower-case/],
  ])('is refused for endpoint "%s" and bucket "%s"', (endpoint, bucket, advice) => {
    expect(() => bucketUrl({ endpoint, bucket })).toThrow(advice);
  });
});

describe('credentials', () => {
  const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  test('are taken from the environment, with a session token if there is one', () => {
    expect(credentialsFrom(env)).toEqual({ accessKeyId: 'a', secretAccessKey: 'b' });
    expect(credentialsFrom({ ...env, AWS_SESSION_TOKEN: 'c' }).sessionToken).toBe('c');
  });

  test.each([{}, { AWS_ACCESS_KEY_ID: 'a' }, { ...env, AWS_SECRET_ACCESS_KEY: '' }])(
    'are missed in %j',
    (incomplete) => {
      expect(() => credentialsFrom(incomplete)).toThrow(StoreUnusableError);
      expect(() => credentialsFrom(incomplete)).toThrow(/set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);
    },
  );
});

describe('a listing', () => {
  const page = (inner: string): string =>
    `<?xml version="1.0"?><ListBucketResult xmlns="x">${inner}</ListBucketResult>`;

  test('gives keys, sizes and where the next page begins', () => {
    const entry = '<Contents>\n<Key>a&amp;b&#x41;&#66;/c</Key><Size>12</Size></Contents>';
    const more = '<IsTruncated>true</IsTruncated><NextContinuationToken>1/&lt;+=</NextContinuationToken>';
    expect(readListing(page(entry + more))).toEqual({ objects: [{ key: 'a&bAB/c', bytes: 12 }], next: '1/<+=' });
  });

  test('may be empty', () => {
    expect(readListing(page('<IsTruncated>false</IsTruncated>'))).toEqual({ objects: [], next: undefined });
    expect(readListing('<ListBucketResult/>').objects).toEqual([]);
  });

  test('is nothing else', () => {
    expect(() => readListing('<html>Sign in to the hotel network</html>')).toThrow(/no listing.*hotel/);
  });
});
