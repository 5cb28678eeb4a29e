// Images that stand somewhere else, for providers that want their content. Their addresses come out of conversations, so
// they lead to the public Internet alone, and what comes back must be an image of a bounded size.
import type { ImagePart, Message, ModelRequest, Part } from '../conversation/request.ts';
import { GatewayError, invalidRequest } from '../errors.ts';
import { fromTransport } from './failures.ts';
import { inlineImage } from './parts.ts';
import type { Upstream, UpstreamResponse } from './upstream.ts';

const MAX_IMAGES = 32;
const MAX_REDIRECTS = 3;
/** Base64 of all images together; providers take no larger requests. */
const MAX_TOTAL = 20 * 1024 * 1024;

/**
 * The request with all images in it, fetched at most once each. Throws a 400 that names the host of what cannot be fetched.
 *
 * @param isKnown addresses that the provider reads by itself
 */
export async function withImages(
  request: ModelRequest,
  isKnown: (url: string) => boolean,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<ModelRequest> {
  const urls = [...new Set(request.messages.flatMap(({ parts }) => parts.flatMap((part) => urlsIn(part, isKnown))))];
  if (urls.length === 0) return request;
  if (urls.length > MAX_IMAGES)
    throw invalidRequest(`More than ${MAX_IMAGES} images would have to be fetched.`, 'messages');
  const images = new Map<string, { mediaType: string; data: string }>();
  let total = 0;
  for (const url of urls) {
    const image = await download(url, upstream, signal);
    total += image.data.length;
    if (total > MAX_TOTAL) throw invalidRequest('The images are too large together.', 'messages');
    images.set(url, image);
  }
  const replaced = (part: Part): Part => {
    if (part.type === 'toolResult') return { ...part, parts: part.parts.map((one) => replaced(one) as typeof one) };
    if (part.type !== 'image' || !('url' in part.source)) return part;
    const image = images.get(part.source.url);
    return image ? { ...part, source: image } : part;
  };
  const messages = request.messages.map((message): Message => ({ ...message, parts: message.parts.map(replaced) }));
  return { ...request, messages };
}

function urlsIn(part: Part, isKnown: (url: string) => boolean): string[] {
  if (part.type === 'toolResult') return part.parts.flatMap((one) => urlsIn(one, isKnown));
  if (part.type !== 'image' || inlineImage(part)) return [];
  const { url } = part.source as Extract<ImagePart['source'], { url: string }>;
  return isKnown(url) ? [] : [url];
}

async function download(
  text: string,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<{ mediaType: string; data: string }> {
  let url = addressOf(text);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const response = await ask(url, upstream, signal);
    const { location } = response.headers;
    if (response.statusCode >= 300 && response.statusCode < 400 && typeof location === 'string') {
      await response.body.dump();
      url = addressOf(location, url);
      continue;
    }
    return imageIn(response, url, signal);
  }
  throw unusable(url, 'it leads from one address to the next');
}

function addressOf(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw invalidRequest('Images must be http or https addresses, or data URLs.', 'messages');
}

async function ask(url: URL, upstream: Upstream, signal: AbortSignal): Promise<UpstreamResponse> {
  try {
    return await upstream.fetchPublic({ url, headers: { accept: 'image/*', 'user-agent': 'kadre' }, signal });
  } catch (error) {
    throw failed(error, url, signal);
  }
}

async function imageIn(
  { statusCode, headers, body }: UpstreamResponse,
  url: URL,
  signal: AbortSignal,
): Promise<{ mediaType: string; data: string }> {
  const [mediaType = ''] = String(headers['content-type'] ?? '').split(';', 1);
  if (statusCode !== 200 || !/^image\/[\w.+-]+$/.test(mediaType)) {
    await body.dump();
    throw unusable(url, statusCode === 200 ? 'it is no image' : `the answer is HTTP ${statusCode}`);
  }
  try {
    return { mediaType, data: Buffer.from(await body.arrayBuffer()).toString('base64') };
  } catch (error) {
    throw failed(error, url, signal);
  }
}

function failed(error: unknown, url: URL, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return error instanceof GatewayError ? error : unusable(url, `the way there ${fromTransport(error).message}`);
}

const unusable = ({ host }: URL, why: string): GatewayError =>
  invalidRequest(`The image at ${host} cannot be used: ${why}.`, 'messages');
