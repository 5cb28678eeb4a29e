// GET /v1/models and /v1beta/models: the Models of the caller's namespace, as the caller's client expects to read them.
import type { Model } from '@kadre/crds';
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../access/caller.ts';
import { GatewayError } from '../../errors.ts';
import type { Door } from '../door.ts';
import { errorBody as googlesError } from '../generate-content/answer.ts';

interface Shape {
  list: (models: Model[]) => object;
  one: (model: Model) => object;
}

const openAis: Shape = {
  list: (models) => ({ object: 'list', data: models.map(openAis.one) }),
  one: ({ metadata, spec }) => ({
    id: metadata.name,
    object: 'model',
    created: Math.floor(Date.parse(metadata.creationTimestamp) / 1000),
    owned_by: spec.provider ?? 'kadre',
  }),
};

/** All on one page. */
const anthropics: Shape = {
  list: (models) => ({
    data: models.map(anthropics.one),
    has_more: false,
    first_id: models[0]?.metadata.name ?? null,
    last_id: models.at(-1)?.metadata.name ?? null,
  }),
  one: ({ metadata }) => ({
    type: 'model',
    id: metadata.name,
    display_name: metadata.name,
    created_at: metadata.creationTimestamp,
  }),
};

const googles: Shape = {
  list: (models) => ({ models: models.map(googles.one) }),
  one: ({ metadata, spec }) => ({
    name: `models/${metadata.name}`,
    displayName: metadata.name,
    description: spec.provider === undefined ? 'A route over Models.' : `A Model of provider ${spec.provider}.`,
    supportedGenerationMethods: ['generateContent', 'streamGenerateContent'],
  }),
};

/** All clients ask at the same address, but Anthropic's say which version they speak, and Google's have a key of their own. */
function shapeFor({ headers }: FastifyRequest): Shape {
  if (headers['anthropic-version'] !== undefined) return anthropics;
  return headers['x-goog-api-key'] === undefined ? openAis : googles;
}

export const modelsDoor: Door = (api, { models }) => {
  const listed = ({ record }: FastifyRequest): Model[] => models.list((record.caller as Caller).namespace);
  const named = (http: FastifyRequest): Model => {
    const { name } = http.params as { name: string };
    const model = models.get((http.record.caller as Caller).namespace, name);
    if (model) return model;
    throw new GatewayError(404, 'ModelNotFound', `There is no Model ${name.slice(0, 253)} in this namespace.`);
  };
  const google = { config: { errorBody: googlesError } };
  api.get('/v1/models', (http) => shapeFor(http).list(listed(http)));
  api.get('/v1/models/:name', (http) => shapeFor(http).one(named(http)));
  api.get('/v1beta/models', google, (http) => googles.list(listed(http)));
  api.get('/v1beta/models/:name', google, (http) => googles.one(named(http)));
};
