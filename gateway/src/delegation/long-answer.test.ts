import { afterEach, beforeEach, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import type { AddressInfo } from 'node:net';
import { GatewayError } from '../errors.ts';
import { HandClock } from '../limits/testing/hand-clock.ts';
import { longAnswer } from './long-answer.ts';

let clock: HandClock;
let app: FastifyInstance;
let work: PromiseWithResolvers<object>;
let failed: GatewayError[];
let arrived: PromiseWithResolvers<void>;
beforeEach(async () => {
  clock = new HandClock();
  work = Promise.withResolvers();
  failed = [];
  arrived = Promise.withResolvers();
  app = Fastify();
  app.decorateRequest('record', null as never);
  app.addHook('onRequest', (http, _reply, proceed) => {
    http.record = { fail: (error: GatewayError) => void failed.push(error) } as unknown as typeof http.record;
    proceed();
  });
  app.get('/', (http, reply) =>
    longAnswer(http, reply, clock, () => {
      arrived.resolve();
      return work.promise;
    }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => app.close());

const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`);
const away = new GatewayError(503, 'AgentUnavailable', 'Away.');

test('an answer that is there soon is a plain one', async () => {
  work.resolve({ a: 1 });
  const response = await ask();
  expect([response.status, await response.text()]).toEqual([200, '{"a":1}']);
});

test('an answer that takes long has blanks before it, and is JSON all the same', async () => {
  const asked = ask();
  await arrived.promise;
  await clock.pass(15_000);
  const response = await asked;
  await clock.pass(15_000);
  work.resolve({ a: 1 });
  const text = await response.text();
  expect([text, JSON.parse(text)]).toEqual(['  {"a":1}', { a: 1 }]);
});

test('an error has its status until the first blank', async () => {
  work.reject(away);
  expect((await ask()).status).toBe(503);
});

test('an error after the first blank breaks the connection, so that the call is made again', async () => {
  const asked = ask();
  await arrived.promise;
  await clock.pass(15_000);
  const response = await asked;
  work.reject(away);
  await expect(response.text()).rejects.toThrow();
  expect(failed).toEqual([away]);
});
