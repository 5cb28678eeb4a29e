// Whether a request proves that it comes from whom the Trigger trusts. All comparisons take the same time whatever they
// find, and a request to a webhook that is not there is checked against a key that nobody has.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { HmacAuth, SecretKeyRef, WebhookTrigger } from '@kadre/crds';
import { parseDuration } from '@kadre/engine';

export interface SignedRequest {
  headers: IncomingHttpHeaders;
  /** As it was sent. */
  body: Buffer;
}

/** `undefined` if the request proves what it should; else what is wrong, for the log alone. */
export type Complaint = string | undefined;

const nobodysKey = randomBytes(32).toString('hex');
const NOBODY: HmacAuth = {
  secretRef: { name: 'nobody', key: 'key' },
  header: 'x-signature',
  algorithm: 'sha256',
  encoding: 'hex',
  tolerance: '5m',
};

export function secretOf({ auth }: WebhookTrigger): SecretKeyRef {
  const found = auth.hmac ?? auth.bearer;
  if (!found) throw new Error('the API server takes no webhook without auth');
  return found.secretRef;
}

/** @param now milliseconds since 1970 */
export function prove({ auth }: WebhookTrigger, secret: string, request: SignedRequest, now: number): Complaint {
  return auth.hmac ? proveSignature(auth.hmac, secret, request, now) : proveToken(secret, request);
}

/** The work of a check, for a webhook that is not there. */
export function proveNothing(request: SignedRequest, now: number): void {
  proveSignature(NOBODY, nobodysKey, { ...request, headers: { 'x-signature': '00'.repeat(32) } }, now);
}

/** The value of a header that was sent once. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name.toLowerCase()];
  return typeof value === 'string' ? value : undefined;
}

function proveSignature(auth: HmacAuth, secret: string, { headers, body }: SignedRequest, now: number): Complaint {
  const timestamp = auth.timestampHeader === undefined ? '' : headerOf(headers, auth.timestampHeader);
  if (timestamp === undefined) return `the header ${auth.timestampHeader ?? ''} is missing`;
  const expected = createHmac(auth.algorithm, secret);
  for (const part of signedParts(auth, timestamp, body)) expected.update(part);
  const written = headerOf(headers, auth.header);
  if (written === undefined) return `the header ${auth.header} is missing`;
  const prefix = auth.prefix ?? '';
  if (!written.startsWith(prefix)) return `the header ${auth.header} does not begin with ${prefix}`;
  const given = Buffer.from(written.slice(prefix.length), auth.encoding);
  const wanted = expected.digest();
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'the signature is not that of the body';
  // Only now: the time of a request that is not signed says nothing.
  return auth.timestampHeader === undefined ? undefined : outdated(timestamp, auth.tolerance, now);
}

function signedParts({ signedText, timestampHeader }: HmacAuth, timestamp: string, body: Buffer): (string | Buffer)[] {
  const text = signedText ?? (timestampHeader === undefined ? '$(body)' : '$(timestamp).$(body)');
  return text.split(/(\$\((?:body|timestamp)\))/).map((part) => {
    if (part === '$(body)') return body;
    return part === '$(timestamp)' ? timestamp : part;
  });
}

function outdated(timestamp: string, tolerance: string, now: number): Complaint {
  if (!/^[0-9]{1,12}$/.test(timestamp)) return 'the time of the request is not in seconds since 1970';
  const distance = Math.abs(now - Number(timestamp) * 1000);
  return distance > (parseDuration(tolerance) ?? 0) ? `the request is ${Math.round(distance / 1000)} s old` : undefined;
}

function proveToken(secret: string, { headers }: SignedRequest): Complaint {
  const token = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  if (token === undefined) return 'the header Authorization: Bearer … is missing';
  // Digests are of one length, so that the comparison tells nothing of that of the secret.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(token), digest(secret)) ? undefined : 'the token is another one';
}
