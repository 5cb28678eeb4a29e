// From an answer over HTTP to what a model can read.
import type { ToolAnswer } from '../contract.ts';
import { failure, textAnswer, type Clock } from '../executor.ts';
import { ToolError } from '../tool-error.ts';
import type { OutletAnswer } from './outlet.ts';

const EXCERPT = 2000;
const PASSING = new Set([408, 425, 502, 503, 504]);
const IMAGE = /^image\/(png|jpeg|gif|webp)$/;
const TEXT = /^(text\/.*|application\/(.*\+)?(xml|yaml|x-yaml|javascript|x-www-form-urlencoded|x-ndjson))$/;
const JSON_TYPE = /^(application|text)\/(.*\+)?json$/;

/**
 * What the model may mend, such as a 404, is an answer that is an error.
 *
 * @throws ToolError for what it cannot
 */
export function readAnswer(answer: OutletAnswer, clock: Clock): ToolAnswer {
  const { status } = answer;
  if (status >= 200 && status < 300) return readContent(answer);
  if (status < 400) throw redirected(answer);
  if (status === 401 || status === 407) {
    throw new ToolError('unauthorized', `It does not take the Tool's secret (HTTP ${status}): set another one.`);
  }
  if (status === 429) throw busy(answer, clock);
  const said = `HTTP ${status}: ${excerpt(answer)}`;
  if (status < 500 && !PASSING.has(status)) return failure(said);
  const retryAfterMs = retryAfter(answer, clock);
  throw new ToolError('status', said, {
    retry: PASSING.has(status),
    sent: true,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

export function busy(answer: OutletAnswer, clock: Clock): ToolError {
  const retryAfterMs = retryAfter(answer, clock);
  return new ToolError('rateLimited', 'It takes no more calls for now (HTTP 429). Try later.', {
    retry: true,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function readContent(answer: OutletAnswer): ToolAnswer {
  if (answer.body.length === 0) return textAnswer('Done. The answer is empty.');
  const type = mediaType(answer);
  if (IMAGE.test(type)) {
    return { content: [{ type: 'image', data: answer.body.toString('base64'), mediaType: type }], isError: false };
  }
  if (JSON_TYPE.test(type)) return readJson(answer);
  if (type === '' || TEXT.test(type)) return textAnswer(decode(answer));
  throw new ToolError('malformed', `It sends ${type.slice(0, 100)}, which no model can read.`, { sent: true });
}

function readJson(answer: OutletAnswer): ToolAnswer {
  const text = decode(answer);
  try {
    return { ...textAnswer(text), structured: JSON.parse(text) as unknown };
  } catch {
    throw new ToolError('malformed', 'It says that it sends JSON, and sends something else.', { sent: true });
  }
}

function redirected({ status, headers }: OutletAnswer): ToolError {
  const to = headers['location'];
  const host = to !== undefined && URL.canParse(to) ? ` to ${new URL(to).host.slice(0, 253)}` : '';
  return new ToolError(
    'misconfigured',
    `It redirects${host} (HTTP ${status}), where the Tool's secret must not follow: write the final address into the Tool.`,
    { sent: true },
  );
}

function excerpt(answer: OutletAnswer): string {
  const type = mediaType(answer);
  if (type !== '' && !JSON_TYPE.test(type) && !TEXT.test(type)) return type.slice(0, 100);
  const text = decode(answer).trim();
  return text.length > EXCERPT ? `${text.slice(0, EXCERPT)}… (cut)` : text;
}

const mediaType = ({ headers }: OutletAnswer): string =>
  (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';

function decode({ headers, body }: OutletAnswer): string {
  const charset = /charset="?([-_a-z0-9]+)/i.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset).decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}

/** Seconds, or a date; a day at most. */
function retryAfter({ headers }: OutletAnswer, clock: Clock): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined || value.length > 40) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - clock.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), 86_400_000);
}
