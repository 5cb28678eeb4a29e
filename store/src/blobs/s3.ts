// Objects in a bucket of any server that speaks S3.
import { checkName, ObjectMissingError, type ObjectEntry, type ObjectStore } from './objects.ts';
import { readListing } from './s3-listing.ts';
import { complaint, s3Client, type S3Answer, type S3Client, type S3Options } from './s3-client.ts';

/**
 * Nothing is asked of the server before the first call. Calls that fail for a passing reason are repeated.
 *
 * Its methods throw StoreUnusableError, with a word on what to mend, when the server cannot be reached, refuses the
 * credentials or knows no such bucket.
 */
export function openS3(options: S3Options): ObjectStore {
  const client = s3Client(options);
  const folder = options.prefix === undefined || options.prefix === '' ? '' : `${checkName(options.prefix)}/`;
  const key = (name: string): string => folder + checkName(name);
  return {
    async put(name, body) {
      accept(client, await client.send({ method: 'PUT', key: key(name), body }));
    },
    async create(name, body) {
      const headers = { 'if-none-match': '*' };
      const answer = await client.send({ method: 'PUT', key: key(name), body, headers });
      if (answer.status === 412) return false;
      accept(client, answer);
      return true;
    },
    async get(name) {
      const answer = await client.send({ method: 'GET', key: key(name) });
      if (isMissing(answer)) throw new ObjectMissingError(`there is no ${name}`);
      return accept(client, answer).body;
    },
    async has(name) {
      // Unlike the answer to HEAD, this one says what is missing: the object or the bucket.
      const answer = await client.send({ method: 'GET', key: key(name), headers: { range: 'bytes=0-0' } });
      // An empty object has no first byte.
      if (answer.status !== 416 && !isMissing(answer)) accept(client, answer);
      return !isMissing(answer);
    },
    async delete(name) {
      const answer = await client.send({ method: 'DELETE', key: key(name) });
      if (!isMissing(answer)) accept(client, answer);
    },
    list: (within) => list(client, within === '' ? folder : `${key(within)}/`, folder.length),
  };
}

async function* list(client: S3Client, prefix: string, strip: number): AsyncIterable<ObjectEntry> {
  let token: string | undefined;
  do {
    const query = { 'list-type': '2', prefix, ...(token === undefined ? {} : { 'continuation-token': token }) };
    const page = readListing(
      new TextDecoder().decode(accept(client, await client.send({ method: 'GET', query })).body),
    );
    for (const { key, bytes } of page.objects) yield { name: key.slice(strip), bytes };
    token = page.next;
  } while (token !== undefined);
}

function isMissing({ status, code }: S3Answer): boolean {
  return status === 404 && code === 'NoSuchKey';
}

function accept(client: S3Client, answer: S3Answer): S3Answer {
  if (answer.status >= 300) throw complaint(client, answer);
  return answer;
}
