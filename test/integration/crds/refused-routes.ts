// Wrong routes; see refused-manifests.ts.
import type { Refusal } from './refused-manifests.ts';

const two = [{ model: 'small' }, { model: 'large' }];
const route = (fields: object, ...beside: object[]) => ({
  spec: Object.assign({ route: { strategy: 'priority', candidates: two, ...fields } }, ...beside) as object,
});
const weighted = (...weights: (number | undefined)[]) =>
  route({ strategy: 'weighted', candidates: two.map((one, index) => ({ ...one, weight: weights[index] })) });
const paths = two.map((one, index) => ({ ...one, path: index === 0 ? 'speed' : 'quality' }));
const byComplexity = (fields: object) => route({ strategy: 'complexity', candidates: paths, ...fields });

const mistakes: Omit<Refusal, 'kind'>[] = [
  {
    mistake: 'a Model that is nothing',
    wrong: { spec: {} },
    message: 'a Model is one model or a route over several: set provider or route',
    right: route({}),
  },
  {
    mistake: 'a route with a provider',
    wrong: route({}, { provider: 'simulated' }),
    message: 'set provider or route, not both',
    right: route({ maxAttempts: 5 }),
  },
  {
    mistake: 'a route with a price',
    wrong: route({}, { price: { inputPerMillion: '1', outputPerMillion: '1' } }),
    message: 'a route only chooses among Models',
    right: route({ strategy: 'cheapest' }),
  },
  {
    mistake: 'complexity where it decides nothing',
    wrong: route({ complexity: { rule: `'speed'` } }),
    where: 'spec.route.complexity',
    message: 'complexity is only for strategy complexity',
    right: byComplexity({ complexity: { rule: `'speed'` } }),
  },
  {
    mistake: 'a rule and a classifier',
    wrong: byComplexity({ complexity: { rule: `'speed'`, classifier: { model: 'small' } } }),
    where: 'spec.route.complexity',
    message: 'one of them decides: set rule or classifier',
    right: byComplexity({ complexity: { classifier: { model: 'small' } } }),
  },
  {
    mistake: 'complexity without paths',
    wrong: byComplexity({ candidates: two }),
    where: 'spec.route',
    message: 'every candidate says which path it is for',
    right: byComplexity({}),
  },
  {
    mistake: 'paths where nobody looks at them',
    wrong: route({ candidates: paths }),
    where: 'spec.route',
    message: 'path is only for strategy complexity',
    right: route({ strategy: 'fastest' }),
  },
  {
    mistake: 'weights that are missing',
    wrong: weighted(1, undefined),
    where: 'spec.route',
    message: 'with strategy weighted every candidate has a weight',
    right: weighted(1, 0),
  },
  {
    mistake: 'weights of nothing',
    wrong: weighted(0, 0),
    where: 'spec.route',
    message: 'and one of them is more than 0',
    right: weighted(3, 1),
  },
  {
    mistake: 'weights where nobody looks at them',
    wrong: route({ candidates: [{ model: 'small', weight: 1 }] }),
    where: 'spec.route',
    message: 'weight is only for strategy weighted',
    right: route({ candidates: [{ model: 'small' }] }),
  },
  {
    mistake: 'one candidate twice',
    wrong: route({ candidates: [...two, { model: 'small' }] }),
    where: 'spec.route',
    message: 'a Model is a candidate once',
    right: route({ candidates: [...two, { model: 'medium' }] }),
  },
  {
    mistake: 'consensus where nobody asks for it',
    wrong: route({ consensus: { judge: 'large' } }),
    where: 'spec.route.consensus',
    message: 'consensus is only for strategy consensus',
    right: route({ strategy: 'consensus', consensus: { judge: 'large', patience: '10s' } }),
  },
  {
    mistake: 'a quorum that cannot be',
    wrong: route({ strategy: 'consensus', consensus: { quorum: 3 } }),
    where: 'spec.route.consensus',
    message: 'the quorum cannot be more than there are candidates',
    right: route({ strategy: 'consensus', consensus: { quorum: 2 } }),
  },
  {
    mistake: 'a comparison of one',
    wrong: route({ strategy: 'compare', candidates: [{ model: 'small' }] }),
    where: 'spec.route',
    message: 'consensus and compare want two candidates or more',
    right: route({ strategy: 'compare' }),
  },
  {
    mistake: 'limits that limit nothing',
    wrong: { spec: { provider: 'simulated', limits: { maxWait: '5s' } } },
    where: 'spec.limits',
    message: 'limits limit something: set requestsPerMinute, tokensPerMinute or concurrent',
    right: { spec: { provider: 'simulated', limits: { concurrent: 4, maxWait: '5s' } } },
  },
];

export const routeRefusals: Refusal[] = mistakes.map((mistake) => ({ ...mistake, kind: 'Model' }));
