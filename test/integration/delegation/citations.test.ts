// What another agent's answer rests on, the answer of whoever has asked rests on as well: under numbers of that task.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { a2aMetadata, API_VERSION, vectorSpace, type AgentSpec, type Knowledge } from '@kadre/crds';
import { NAMESPACE, until } from '../gateway/bed.ts';
import { grant, startCrew, type Crew } from './crew.ts';

const metadata = {
  ...{ namespace: NAMESPACE, name: 'handbook', uid: 'uid-handbook', generation: 1 },
  ...{ resourceVersion: '1', creationTimestamp: '2026-01-02T03:04:05Z' },
};
const handbook: Knowledge = {
  ...{ apiVersion: API_VERSION, kind: 'Knowledge', metadata },
  spec: {
    ...{ model: 'embed', sources: [{ name: 'pages', configMap: { name: 'pages' } }] },
    ...{ chunking: { characters: 1200, overlap: 150 }, trust: 'trusted' },
  },
};
const documents = { refunds: 'Money comes back within thirty days.', shipping: 'A parcel takes two days to Bern.' };

let crew: Crew;
beforeEach(async () => {
  crew = await startCrew({ knowledge: { grants: () => [{ name: 'handbook' }], get: () => handbook } });
  crew.model('embed', {});
  crew.tool('count');
  for (const agent of ['researcher', 'writer']) crew.grants.set(agent, [{ name: 'count' }]);
  const space = vectorSpace('embed', { provider: 'simulated' });
  await crew.store.openKnowledge({ ...metadata, model: 'embed', space });
  for (const [id, text] of Object.entries(documents)) {
    const chunks = [{ title: id, text, hash: id }];
    await crew.store.putKnowledgeDocument(metadata, { id, hash: id, source: 'pages', url: `https://${id}`, chunks });
  }
  await crew.store.keepKnowledgeDocuments(metadata, Object.keys(documents), 'r1');
  await until(async () => (await crew.store.knowledge(metadata))?.indexed === 2);
});
afterEach(() => crew.close());

const search = (query: string) => [
  { name: 'search_handbook', arguments: JSON.stringify({ query: query, results: 1 }) },
];
const output = { schema: { type: 'object', required: ['says'] } };

test.each<[string, boolean, string, Partial<AgentSpec>, object]>([
  ['asked', false, 'Thirty days [1].', {}, { text: 'told: Thirty days [2]. [1]' }],
  ['handed over', true, 'Thirty days [1].', {}, { text: 'Thirty days [2].' }],
  ['handed over, as data', true, '{"says":["Thirty days [1]."]}', { output }, { data: { says: ['Thirty days [2].'] } }],
])('when it is %s', async (_, handOff, reply, writer, part) => {
  await crew.agent('writer', [{ matchToolResult: 'Money', reply }, { toolCalls: search(documents.refunds) }], writer);
  const ask = [{ name: handOff ? 'hand_off_to_writer' : 'ask_writer', arguments: '{"prompt": "When?"}' }];
  await crew.agent(
    'researcher',
    [
      { matchToolResult: 'Thirty', reply: 'told: $(toolResult) [1]' },
      { matchToolResult: 'parcel', toolCalls: ask },
      { toolCalls: search(documents.shipping) },
    ],
    { agents: [grant('writer', handOff)] },
  );
  const [artifact] = (await crew.ask('researcher')).artifacts ?? [];
  expect(artifact?.parts).toMatchObject([part]);
  const citations = [
    { id: '1', title: 'shipping', source: 'handbook/pages' },
    { id: '2', title: 'refunds', url: 'https://refunds', passage: documents.refunds },
  ];
  expect(artifact?.metadata?.[a2aMetadata.citations]).toMatchObject(handOff ? citations.slice(1) : citations);
});
