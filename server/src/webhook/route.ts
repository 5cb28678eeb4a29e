// POST /v1/namespaces/{namespace}/triggers/{name}: a delivery starts a run, or publishes an event, once.
//
// The memory of what came before is the API server: a delivery always makes a Run of the same name, and there is one of
// each name. So it holds across restarts and for as many replicas as there are.
import { createHash } from 'node:crypto';
import type { Trigger, WebhookTrigger } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import { deliveryKey, passes, planTrigger, startOf, TriggerError, type Start, type TriggerPlan } from '@kadre/engine';
import type { FastifyRequest } from 'fastify';
import type { Clock, Limits, ServerOptions } from '../options.ts';
import { Refusal, unauthorized, unavailable } from '../refusal.ts';
import { headersFor, parseBody, queryOf } from './body.ts';
import { headerOf, prove, proveNothing, secretOf, type SignedRequest } from './proof.ts';
import { createRateLimit } from './rate-limit.ts';
import { createSecretValues } from './secrets.ts';

export const WEBHOOK_PATH = '/v1/namespaces/:namespace/triggers/:name';

export interface Answer {
  status: 200 | 202;
  body: {
    outcome: 'Started' | 'AlreadyStarted' | 'Published' | 'AlreadyPublished' | 'Filtered';
    run?: { namespace: string; name: string };
    event?: { namespace: string; name: string };
  };
}

/** A delivery from somebody who has proved who they are. */
interface Delivery {
  trigger: Trigger;
  webhook: WebhookTrigger;
  request: SignedRequest;
  url: string;
}

type Route = { Params: { namespace: string; name: string }; Body: Buffer | undefined };

/** Throws {@link Refusal}. */
export function webhookRoute(options: ServerOptions & { clock: Clock; limits: Limits }) {
  const { triggers, clock, limits, ready = () => true } = options;
  const secrets = createSecretValues(options.secrets, clock);
  const rates = createRateLimit(clock);
  const complaints = createRateLimit(clock);
  const plans = new BoundedMap<string, ReturnType<typeof planTrigger>>(1000);

  /** Throws a 401 unless the request proves that the Trigger trusts its sender. */
  const admit = async (trigger: Trigger | undefined, request: SignedRequest): Promise<WebhookTrigger> => {
    const webhook = trigger?.spec.webhook;
    if (!webhook) {
      proveNothing(request, clock.now());
      throw unauthorized();
    }
    const { namespace = '', name, uid } = trigger.metadata;
    let complaint: string | undefined =
      `Secret ${secretOf(webhook).name} has nothing under the key that the Trigger names`;
    // A secret that has just been changed may still be the old one here.
    for (const reload of [false, true]) {
      const secret = await secrets.of(namespace, secretOf(webhook), reload);
      if (secret !== undefined) complaint = prove(webhook, secret, request, clock.now());
      if (complaint === undefined) return webhook;
    }
    // Whoever set it up wrongly needs the reason; whoever knocks at random must not fill the log.
    if (complaints.take(uid, 6) === 0)
      options.logger.warn({ namespace, trigger: name }, `A request was refused: ${complaint}`);
    throw unauthorized();
  };

  const planOf = (trigger: Trigger): TriggerPlan => {
    const { uid, generation } = trigger.metadata;
    const id = `${uid}/${generation}`;
    const planned = plans.get(id) ?? planTrigger(trigger.spec);
    plans.set(id, planned);
    if ('plan' in planned) return planned.plan;
    const [first] = planned.problems;
    throw new Refusal(
      422,
      'InvalidTrigger',
      `The Trigger must be mended: ${first?.path ?? ''}: ${first?.message ?? ''}`,
    );
  };

  const take = ({ metadata, spec }: Trigger, webhook: WebhookTrigger): void => {
    if (spec.suspend === true) throw new Refusal(503, 'Suspended', 'The Trigger is suspended.', { retryAfter: 60 });
    const wait = rates.take(metadata.uid, webhook.rateLimit?.requestsPerMinute ?? limits.requestsPerMinute);
    if (wait === 0) return;
    const retryAfter = Math.ceil(wait / 1000);
    throw new Refusal(429, 'RateLimited', 'Too many requests for this Trigger: send it again later.', { retryAfter });
  };

  return async (http: FastifyRequest<Route>): Promise<Answer> => {
    if (!ready()) throw unavailable('The server is starting. Send it again.');
    const { namespace, name } = http.params;
    const trigger = triggers.get(namespace, name);
    const request: SignedRequest = { headers: http.headers, body: http.body ?? Buffer.alloc(0) };
    const webhook = await admit(trigger, request);
    if (!trigger) throw unauthorized();
    take(trigger, webhook);
    const start = decide({ trigger, webhook, request, url: http.url }, planOf(trigger), clock.now());
    if (start === undefined) return { status: 200, body: { outcome: 'Filtered' } };
    return 'run' in start ? startRun(options, start) : publish(options, start);
  };
}

/** What the delivery starts; undefined if the filter does not want it. Throws a 400, 415 or 422. */
function decide(delivery: Delivery, plan: TriggerPlan, now: number): Start | undefined {
  const { trigger, webhook, request } = delivery;
  const happening = {
    body: parseBody(request.headers, request.body),
    headers: headersFor(webhook, request.headers),
    query: queryOf(delivery.url),
  };
  try {
    if (!passes(trigger, plan, happening)) return undefined;
    const key = deliveryKey(trigger, plan, happening) ?? ownKey(webhook, request);
    return startOf(trigger, plan, { key: `webhook/${key}`, text: `delivery ${key}`, at: now }, happening);
  } catch (error) {
    if (error instanceof TriggerError) throw new Refusal(422, 'InvalidDelivery', error.message);
    throw error;
  }
}

/** Where nothing else tells deliveries apart: the time, which is signed, and the body. */
function ownKey({ auth }: WebhookTrigger, { headers, body }: SignedRequest): string {
  const time = headerOf(headers, auth.hmac?.timestampHeader ?? '') ?? '';
  return createHash('sha256').update(`${time}\n`).update(body).digest('hex');
}

async function startRun({ runs }: ServerOptions, { run }: Extract<Start, { run: unknown }>): Promise<Answer> {
  const { namespace, name } = run.metadata;
  const started = await runs.start(run).catch((error: unknown) => {
    throw unavailable('The run cannot be created now. Send it again.', error);
  });
  switch (started.state) {
    case 'created':
      return { status: 202, body: { outcome: 'Started', run: { namespace, name } } };
    case 'exists':
      return { status: 200, body: { outcome: 'AlreadyStarted', run: { namespace, name } } };
    case 'taken':
      throw new Refusal(422, 'NameTaken', `There is a Run ${name} that this Trigger did not start: delete it.`);
    case 'refused':
      throw new Refusal(422, 'RunRefused', `The API server refuses the Run: ${started.message}`);
  }
}

async function publish({ store }: ServerOptions, { event }: Extract<Start, { event: unknown }>): Promise<Answer> {
  const { namespace, name } = event;
  const isNew = await store.publishEvent(event).catch((error: unknown) => {
    throw unavailable('The event cannot be published now. Send it again.', error);
  });
  return isNew
    ? { status: 202, body: { outcome: 'Published', event: { namespace, name } } }
    : { status: 200, body: { outcome: 'AlreadyPublished', event: { namespace, name } } };
}
