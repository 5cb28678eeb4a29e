// Wrong Knowledges; see refused-manifests.ts.
import type { Refusal } from './refused-manifests.ts';

const from = (source: object, fields: object = {}) => ({
  spec: { model: 'embed', sources: [{ name: 'pages', ...source }], ...fields },
});
const configMap = { name: 'pages' };
const auth = { secretRef: { name: 's', key: 'k' } };

export const knowledgeRefusals: Refusal[] = [
  {
    mistake: 'a source that is two',
    kind: 'Knowledge',
    wrong: from({ configMap, url: 'https://a.b/' }),
    where: 'spec.sources[0]',
    message: 'a source is one of configMap, url and git: set exactly one',
    right: from({ configMap }),
  },
  {
    mistake: 'a key for a ConfigMap',
    kind: 'Knowledge',
    wrong: from({ configMap, auth }),
    where: 'spec.sources[0]',
    message: 'nobody signs in at a ConfigMap: remove auth',
    right: from({ url: 'https://a.b/', auth }),
  },
  {
    mistake: 'a file as a source',
    kind: 'Knowledge',
    wrong: from({ url: 'file:///etc/passwd' }),
    where: 'spec.sources[0].url',
    message: 'should match',
    right: from({ url: 'https://a.b/etc/passwd' }),
  },
  {
    mistake: 'passages that hardly go on',
    kind: 'Knowledge',
    wrong: from({ configMap }, { chunking: { characters: 400, overlap: 201 } }),
    where: 'spec.chunking',
    message: 'overlap must be at most half of characters, or the passages would hardly go on',
    right: from({ configMap }, { chunking: { characters: 400, overlap: 200 } }),
  },
];
