// Wrong Tools, and wrong grants of them; see refused-manifests.ts.
import type { Refusal } from './refused-manifests.ts';

const tool = (fields: object) => ({ spec: fields });
const mcp = (fields: object) => tool({ mcp: { url: 'http://search.tools.svc/mcp', ...fields } });
const endpoint = {
  url: 'https://api.example.com/orders/{id}',
  input: { schema: { type: 'object', properties: { id: { type: 'string' } } } },
};
const http = (fields: object, description: object = { description: 'Looks up an order.' }) =>
  tool({ http: { ...endpoint, ...fields }, ...description });
const openapi = (fields: object) => tool({ openapi: fields });
const document = '{"openapi": "3.1.0", "paths": {}}';
const calculator = { builtin: { calculator: {} } };
const secretRef = { name: 'search', key: 'token' };
const granted = (tools: object[]) => ({ spec: { instructions: 'Be brief.', model: 'gpt', tools } });

const mistakes: Omit<Refusal, 'kind'>[] = [
  {
    mistake: 'a Tool that is nothing',
    wrong: tool({ description: 'Something.' }),
    message: 'a Tool is one of mcp, http, openapi, a2a, workflow and builtin: set exactly one',
    right: tool(calculator),
  },
  {
    mistake: 'a Tool that is two',
    wrong: tool({ ...calculator, mcp: { url: 'http://search.tools.svc/mcp' } }),
    message: 'a Tool is one of mcp, http, openapi, a2a, workflow and builtin: set exactly one',
    right: mcp({}),
  },
  {
    mistake: 'consent to a question',
    wrong: tool({ builtin: { ask: {} }, approval: {} }),
    where: 'spec.approval',
    message: 'builtin.ask asks people anyway: say there who they are, and leave approval out',
    right: tool({ builtin: { ask: { groups: ['care'] } } }),
  },
  {
    mistake: 'no time to decide',
    wrong: tool({ ...calculator, approval: { timeout: '0s' } }),
    where: 'spec.approval.timeout',
    message: 'this must be longer than nothing: write 1s or more',
    right: tool({ ...calculator, approval: { when: 'args.expression.size() > 9', timeout: '1h' } }),
  },
  {
    mistake: 'a server that is at an address, and is to be run as well',
    wrong: mcp({ server: { image: 'crm:1' } }),
    where: 'spec.mcp',
    message: 'the server is at url, or Kadre runs its image: set one of url and server',
    right: tool({ mcp: { server: { image: 'crm:1' } } }),
  },
  {
    mistake: 'a server whose Service would have too long a name',
    wrong: { metadata: { name: 'a'.repeat(59) }, ...tool({ mcp: { server: { image: 'crm:1' } } }) },
    message: 'a Tool whose server Kadre runs has a name of at most 58 characters',
    right: { metadata: { name: 'a'.repeat(58) }, ...tool({ mcp: { server: { image: 'crm:1' } } }) },
  },
  {
    mistake: 'a way out to a host, which network policies do not know',
    wrong: tool({ mcp: { server: { image: 'crm:1', egress: [{ cidr: 'crm.example.com', ports: [443] }] } } }),
    where: 'spec.mcp.server.egress[0].cidr',
    message: 'should match',
    right: tool({ mcp: { server: { image: 'crm:1', egress: [{ cidr: '203.0.113.0/24', ports: [443] }] } } }),
  },
  ...['Host', 'authorization', 'Cookie', 'IDEMPOTENCY-KEY', 'Content-Length'].map((name): Omit<Refusal, 'kind'> => ({
    mistake: `the header ${name}`,
    wrong: mcp({ headers: [{ name, value: 'x' }] }),
    where: 'spec.mcp.headers[0].name',
    message: 'this header is made by the gateway itself; for a key use auth',
    right: mcp({ headers: [{ name: 'X-Tenant', value: 'x' }] }),
  })),
  {
    mistake: 'a key in a header that has no name',
    wrong: mcp({ auth: { secretRef, scheme: 'header' } }),
    where: 'spec.mcp.auth',
    message: 'scheme header wants the name of the header, and the others want none',
    right: mcp({ auth: { secretRef, scheme: 'header', header: 'X-Api-Key' } }),
  },
  {
    mistake: 'a header for a bearer token',
    wrong: http({ auth: { secretRef, header: 'X-Api-Key' } }),
    where: 'spec.http.auth',
    message: 'scheme header wants the name of the header, and the others want none',
    right: http({ auth: { secretRef } }),
  },
  ...[
    ['a user and a password', 'https://ann:secret@example.com/mcp'],
    ['a query, where a key could be', 'https://example.com/mcp?key=secret'],
    ['a file', 'file:///etc/passwd'],
  ].map(([what = '', url]): Omit<Refusal, 'kind'> => ({
    mistake: `an address with ${what}`,
    wrong: mcp({ url }),
    where: 'spec.mcp.url',
    message: 'should match',
    right: mcp({ url: 'https://example.com/mcp' }),
  })),
  {
    mistake: 'a host that the model chooses',
    wrong: http({ url: 'https://{host}/orders' }),
    where: 'spec.http.url',
    message: 'should match',
    right: http({}),
  },
  {
    mistake: 'an endpoint of which a model knows nothing',
    wrong: http({}, {}),
    message: 'say in description what the endpoint does: the model knows nothing else of it',
    right: http({ output: { schema: { type: 'object' } } }),
  },
  {
    mistake: 'no document',
    wrong: openapi({ baseUrl: 'https://api.example.com' }),
    where: 'spec.openapi',
    message: 'the document is at url, or stands in document: set one of them',
    right: openapi({ url: 'https://api.example.com/openapi.json' }),
  },
  {
    mistake: 'two documents',
    wrong: openapi({ url: 'https://api.example.com/openapi.json', document }),
    where: 'spec.openapi',
    message: 'the document is at url, or stands in document: set one of them',
    right: openapi({ document, baseUrl: 'https://api.example.com' }),
  },
  {
    mistake: 'nothing built in',
    wrong: tool({ builtin: {} }),
    where: 'spec.builtin',
    message: 'a builtin tool is one of calculator, http, slack, email, webhook, ask and code: set exactly one',
    right: tool({ builtin: { http: { hosts: ['*.example.com', 'example.com:8443'] } } }),
  },
  {
    mistake: 'two things built in',
    wrong: tool({ builtin: { calculator: {}, webhook: { url: 'https://example.com/hook' } } }),
    where: 'spec.builtin',
    message: 'a builtin tool is one of calculator, http, slack, email, webhook, ask and code: set exactly one',
    right: tool({ builtin: { webhook: { url: 'https://example.com/hook' } } }),
  },
  {
    mistake: 'all hosts there are',
    wrong: tool({ builtin: { http: { hosts: ['*'] } } }),
    where: 'spec.builtin.http.hosts[0]',
    message: 'should match',
    right: tool({ builtin: { http: { hosts: ['*.example.com'], methods: ['GET', 'POST'] } } }),
  },
  {
    mistake: 'a choice where there is nothing to choose',
    wrong: tool({ ...calculator, allow: ['add'] }),
    where: 'spec.allow',
    message: 'allow chooses among operations, which only mcp and openapi have: remove it',
    right: tool({ mcp: { url: 'http://search.tools.svc/mcp' }, allow: ['read_*'] }),
  },
  {
    mistake: 'a policy that says nothing',
    wrong: tool({ ...calculator, policy: {} }),
    where: 'spec.policy',
    message: 'a policy says something: set rules or opa',
    right: tool({ ...calculator, policy: { opa: { url: 'http://opa.policy.svc:8181/v1/data/kadre/allow' } } }),
  },
  {
    mistake: 'no time for a call',
    wrong: tool({ ...calculator, timeout: '0s' }),
    where: 'spec.timeout',
    message: 'this must be longer than nothing: write 1s or more',
    right: tool({ ...calculator, timeout: '5s' }),
  },
];

export const toolRefusals: Refusal[] = [
  ...mistakes.map((mistake): Refusal => ({ ...mistake, kind: 'Tool' })),
  {
    mistake: 'one Tool granted twice',
    kind: 'Agent',
    wrong: granted([{ name: 'search' }, { name: 'search', allow: ['read_*'] }]),
    where: 'spec.tools[1]',
    message: 'Duplicate value',
    right: granted([{ name: 'search', allow: ['read_*'] }, { name: 'calculator' }]),
  },
];
