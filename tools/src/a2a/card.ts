// An agent's card: who it is, and where it answers.
import { AGENT_CARD_PATH, type ToolSpec } from '@kadre/crds';
import { z } from 'zod';
import type { Errand } from '../executor.ts';
import { BASE_HEADERS, fixedHeaders } from '../http/endpoint.ts';
import type { Outlet } from '../net/outlet.ts';
import { signIn } from '../net/sign-in.ts';
import { ToolError } from '../tool-error.ts';

export interface Card {
  name: string;
  description: string;
  version: string;
  skills: { name: string; description: string }[];
  /** Where it takes JSON-RPC. */
  url: string;
  streams: boolean;
}

export type A2aSpec = NonNullable<ToolSpec['a2a']>;

const MAX_CARD_BYTES = 256 * 1024;
const MAX_NAME = 256;
const MAX_DESCRIPTION = 2_048;

const text = (longest: number) => z.string().transform((given) => given.slice(0, longest));

const card = z.looseObject({
  name: text(MAX_NAME).default(''),
  description: text(MAX_DESCRIPTION).default(''),
  version: text(MAX_NAME).default(''),
  supportedInterfaces: z
    .array(
      z.looseObject({
        url: z.string(),
        protocolBinding: z.string().default(''),
        protocolVersion: z.string().default(''),
      }),
    )
    .default([]),
  capabilities: z.looseObject({ streaming: z.boolean().nullish() }).nullish(),
  skills: z
    .array(z.looseObject({ name: text(MAX_NAME).default(''), description: text(MAX_DESCRIPTION).default('') }))
    .default([]),
});

export const specOf = ({ a2a }: ToolSpec): A2aSpec => {
  if (!a2a) throw new Error('only a Tool with a2a gets here');
  return a2a;
};

/** Of each request to the agent. */
export const headersOf = async ({ headers, auth }: A2aSpec, { secret }: Errand): Promise<Record<string, string>> => ({
  ...fixedHeaders(headers),
  ...(await signIn(auth, secret)),
});

/** Throws a ToolError. */
export async function readCard(outlet: Outlet, errand: Errand): Promise<Card> {
  const spec = specOf(errand.tool.spec);
  const { status, body } = await outlet.send({
    method: 'GET',
    url: new URL(`${spec.url.replace(/\/+$/, '')}${AGENT_CARD_PATH}`),
    headers: { ...BASE_HEADERS, ...(await headersOf(spec, errand)) },
    ...{ writtenBy: 'administrator' as const, maxBytes: MAX_CARD_BYTES, signal: errand.signal },
  });
  if (status === 401 || status === 403)
    throw new ToolError('unauthorized', `It refused access to its card (HTTP ${status}).`);
  if (status !== 200)
    throw new ToolError('status', `It has no card at ${AGENT_CARD_PATH} (HTTP ${status}).`, { retry: status >= 500 });
  const parsed = card.safeParse(parseJson(body.toString()));
  if (!parsed.success) throw new ToolError('malformed', `What is at ${AGENT_CARD_PATH} is no card of A2A.`);
  const { name, description, version, skills, supportedInterfaces, capabilities } = parsed.data;
  const spoken = supportedInterfaces.find(
    (one) => one.protocolBinding === 'JSONRPC' && /^1\.0(\.\d+)?$/.test(one.protocolVersion),
  );
  if (!spoken)
    throw new ToolError(
      'misconfigured',
      'It does not speak A2A 1.0 over JSON-RPC: its card names nothing of the kind.',
    );
  const streams = capabilities?.streaming === true;
  return { name, description, version, skills, url: placeOf(spoken.url, spec), streams };
}

/** The secret of the Tool is for whoever has been named, not for where a card leads. */
function placeOf(said: string, { url }: A2aSpec): string {
  const place = URL.canParse(said, url) ? new URL(said, url) : undefined;
  if (place?.origin === new URL(url).origin) return place.href;
  const where = place?.host.slice(0, 253) ?? 'nowhere';
  throw new ToolError(
    'misconfigured',
    `Its card leads to another address (${where}): write that into the Tool, if it is right.`,
  );
}

function parseJson(said: string): unknown {
  try {
    return JSON.parse(said) as unknown;
  } catch {
    return undefined;
  }
}
