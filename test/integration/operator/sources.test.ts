import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GATEWAY_AUDIENCE } from '@kadre/crds';
import { createGatewaySources, type GatewaySources } from '@kadre/operator';
import { eventually, field, KADRE, startBed, startMs, type Bed, type Seen } from './bed.ts';

let bed: Bed;
let sources: GatewaySources;
beforeAll(async () => {
  bed = await startBed();
  sources = createGatewaySources({
    client: bed.client,
    instance: 'test',
    prices: { namespace: 'default', name: 'kadre-prices' },
  });
  await sources.start();
  await bed.namespace('team');
}, startMs);
afterAll(async () => {
  await sources.stop();
  await bed.stop();
});

async function tokenOf(account: string, audience: string): Promise<string> {
  const path = `/api/v1/namespaces/team/serviceaccounts/${account}/token`;
  const spec = { audiences: [audience], expirationSeconds: 3600 };
  const answer = await bed.controlPlane.api.call('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec,
  });
  return field(answer.body as Seen, 'status.token') as string;
}

describe('who calls the gateway', () => {
  test('is told by a token that was made for it', async () => {
    const account = await bed.apply({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'agent-writer', namespace: 'team' },
    });
    expect(await sources.authenticate(await tokenOf('agent-writer', GATEWAY_AUDIENCE))).toEqual({
      namespace: 'team',
      serviceAccount: 'agent-writer',
      uid: account.metadata.uid,
    });
  });

  test.each<[string, () => Promise<string>]>([
    ['a token for the API server', () => tokenOf('agent-writer', 'https://kubernetes.default.svc.cluster.local')],
    ['no token at all', () => Promise.resolve('rubbish')],
  ])('can not be told by %s', async (_, token) => {
    expect(await sources.authenticate(await token())).toBeUndefined();
  });
});

describe('what the engine and the gateway look up', () => {
  test('the list of prices, as it changes, and no other ConfigMap', async () => {
    const list = (name: string, text: string) =>
      bed.apply({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'default' },
        data: { 'prices.json': text },
      });
    expect(sources.prices.current()).toBeUndefined();
    await list('prices-of-somebody-else', '{"a": 1}');
    await list('kadre-prices', '{"b": 1}');
    await eventually('the list of prices', () => Promise.resolve(sources.prices.current() === '{"b": 1}'));
    await list('kadre-prices', '{"b": 2}');
    await eventually('the list of prices', () => Promise.resolve(sources.prices.current() === '{"b": 2}'));
    await bed.controlPlane.api.call('DELETE', '/api/v1/namespaces/default/configmaps/kadre-prices');
    await eventually('the list of prices', () => Promise.resolve(sources.prices.current() === undefined));
  });

  test('Secrets, decoded, or that they are not there', async () => {
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'llm', namespace: 'team' },
      stringData: { key: 'sk-ü' },
    };
    await bed.apply(secret);
    expect(await sources.secrets.read('team', 'llm')).toEqual({ key: 'sk-ü' });
    expect(await sources.secrets.read('team', 'none')).toBeUndefined();
  });

  test('Models and Agents, and where Agents answer', async () => {
    await bed.apply({
      apiVersion: KADRE,
      kind: 'Model',
      metadata: { name: 'echo', namespace: 'team' },
      spec: { provider: 'simulated' },
    });
    const spec = { instructions: 'Write.', model: 'echo' };
    await bed.apply({
      apiVersion: KADRE,
      kind: 'Agent',
      metadata: { name: 'served', namespace: 'team' },
      spec: { ...spec, serving: {}, memory: { turns: 7 } },
    });
    await bed.apply({ apiVersion: KADRE, kind: 'Agent', metadata: { name: 'in-jobs', namespace: 'team' }, spec });
    await eventually('both agents', () => Promise.resolve(sources.agents.resolve('team', 'in-jobs').found));
    expect(sources.agents.resolve('team', 'served')).toEqual({
      found: true,
      serving: true,
      url: 'http://served.team.svc',
    });
    expect(sources.agents.resolve('team', 'in-jobs')).toMatchObject({ found: true, serving: false });
    expect(sources.agents.resolve('team', 'nobody')).toMatchObject({ found: false });
    expect(sources.memory.ofAgent('team', 'served')).toEqual({ turns: 7, characters: 200_000 });
    for (const name of ['in-jobs', 'nobody']) expect(sources.memory.ofAgent('team', name)).toBeUndefined();
    expect(sources.models.get('team', 'echo')?.spec.provider).toBe('simulated');
    expect(sources.models.list('team').map(({ metadata }) => metadata.name)).toEqual(['echo']);
    expect(sources.models.list('other')).toEqual([]);
  });

  test('Tools and other Agents, and which of them an Agent may use', async () => {
    const agents = [{ name: 'served', handOff: true }, { name: 'in-jobs' }];
    const tools = [{ name: 'sums' }, { name: 'files', allow: ['read_*'] }];
    const manifest = (kind: string, name: string, spec: object): object => ({
      apiVersion: KADRE,
      kind,
      metadata: { name, namespace: 'team' },
      spec,
    });
    await bed.apply(manifest('Tool', 'sums', { builtin: { calculator: {} } }));
    await bed.apply(manifest('Agent', 'clerk', { instructions: 'Count.', model: 'echo', tools, agents }));
    await eventually('the grants', () => Promise.resolve(sources.tools.grants('team', 'clerk').length === 2));
    expect(sources.tools.grants('team', 'clerk')).toEqual(tools);
    await eventually('the Tool', () => Promise.resolve(sources.tools.get('team', 'sums') !== undefined));
    expect(sources.tools.get('team', 'sums')?.spec).toMatchObject({ trust: 'untrusted', consequential: false });
    expect(sources.tools.grants('other', 'clerk')).toEqual([]);
    expect(sources.agents.grants('team', 'clerk')).toEqual([agents[0], { name: 'in-jobs', handOff: false }]);
    expect(sources.agents.grants('other', 'clerk')).toEqual([]);
    expect(sources.agents.spec('team', 'clerk')?.instructions).toBe('Count.');
    expect(sources.tools.get('other', 'sums')).toBeUndefined();
  });
});
