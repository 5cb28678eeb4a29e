// A route: one name for several Models, and how one of them is chosen, or all are heard.
import { z } from 'zod';
import { dnsLabel, someTime } from './common.ts';
import { rules } from './markers.ts';

export const routeStrategies = [
  'priority',
  'cheapest',
  'fastest',
  'weighted',
  'complexity',
  'consensus',
  'compare',
] as const;
export type RouteStrategy = (typeof routeStrategies)[number];

/** What a call needs most, as a route by complexity tells them apart. */
export const routePaths = ['speed', 'quality', 'reliability'] as const;
export type RoutePath = (typeof routePaths)[number];

const candidate = z
  .object({
    model: dnsLabel.describe('A Model of this namespace that is not a route itself.'),
    weight: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe('With strategy weighted, its share among the weights of all. 0: only when no other can answer.'),
    path: z
      .enum(routePaths)
      .optional()
      .describe('With strategy complexity, which calls it is for. Several of one path are tried in their order.'),
  })
  .describe('One Model to choose from.');

const complexity = z
  .object({
    rule: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        "A CEL expression that gives 'speed', 'quality' or 'reliability'. It knows prompt (the last user message), instructions, inputTokens, messages (how many), tools (names), images (how many), structured, reasoning (the effort asked for), streamed, agent and step.",
      ),
    classifier: z
      .object({
        model: dnsLabel.describe('A small Model of this namespace that is not a route itself.'),
        instructions: z
          .string()
          .min(1)
          .max(8192)
          .optional()
          .describe('What it is told. Absent: to judge how hard the last message is and what a mistake would cost.'),
      })
      .optional()
      .describe('A Model that judges each call. Its own cost counts with the call.'),
  })
  .meta(
    rules({
      message: 'one of them decides: set rule or classifier',
      rule: 'has(self.rule) != has(self.classifier)',
    }),
  )
  .describe('How calls are told apart. Absent: by their length, tools, images and format.');

const consensus = z
  .object({
    judge: dnsLabel
      .optional()
      .describe('The Model that reads all answers, votes for the best and says why. Absent: the first candidate.'),
    synthesizer: dnsLabel
      .optional()
      .describe('The Model that writes the final answer from all of them. Absent: the judge.'),
    quorum: z
      .int()
      .min(1)
      .max(16)
      .optional()
      .describe('How many candidates must have answered. More than half of them if absent.'),
    patience: someTime
      .optional()
      .describe('How long to wait for the others once the quorum is there. Absent: until all have answered or failed.'),
  })
  .describe('How several answers become one.');

export const modelRoute = z
  .object({
    strategy: z
      .enum(routeStrategies)
      .describe(
        'priority: the first that can answer. cheapest: by price. fastest: by what was observed. weighted: by shares. complexity: by what the call needs. consensus: all answer, one judges, one writes. compare: all answers side by side.',
      ),
    candidates: z.array(candidate).min(1).max(16).describe('The Models, in order of preference.'),
    maxAttempts: z
      .int()
      .min(1)
      .max(32)
      .optional()
      .describe(
        'How often Models are asked for one call, over all candidates and repairs. 3 if absent, and no fewer than consensus and compare need to ask each once.',
      ),
    complexity: complexity.optional(),
    consensus: consensus.optional(),
  })
  .meta(
    rules(
      {
        message: 'complexity is only for strategy complexity: remove the block, or change the strategy',
        rule: `self.strategy == 'complexity' || !has(self.complexity)`,
        fieldPath: '.complexity',
      },
      {
        message: 'consensus is only for strategy consensus: remove the block, or change the strategy',
        rule: `self.strategy == 'consensus' || !has(self.consensus)`,
        fieldPath: '.consensus',
      },
      {
        message: 'with strategy complexity every candidate says which path it is for: speed, quality or reliability',
        rule: `self.strategy != 'complexity' || self.candidates.all(one, has(one.path))`,
      },
      {
        message: 'path is only for strategy complexity: remove it from the candidates, or change the strategy',
        rule: `self.strategy == 'complexity' || !self.candidates.exists(one, has(one.path))`,
      },
      {
        message: 'with strategy weighted every candidate has a weight, and one of them is more than 0',
        rule: `self.strategy != 'weighted' || (self.candidates.all(one, has(one.weight)) && self.candidates.exists(one, one.weight > 0))`,
      },
      {
        message: 'weight is only for strategy weighted: remove it from the candidates, or change the strategy',
        rule: `self.strategy == 'weighted' || !self.candidates.exists(one, has(one.weight))`,
      },
      {
        message: 'a Model is a candidate once: remove the second mention',
        rule: 'self.candidates.all(one, self.candidates.exists_one(other, other.model == one.model))',
      },
      {
        message: 'the quorum cannot be more than there are candidates',
        rule: `!has(self.consensus) || !has(self.consensus.quorum) || self.consensus.quorum <= size(self.candidates)`,
        fieldPath: '.consensus',
      },
      {
        message: 'consensus and compare want two candidates or more',
        rule: `!(self.strategy in ['consensus', 'compare']) || size(self.candidates) > 1`,
      },
    ),
  )
  .describe('Makes this Model a choice among others. What they are asked counts against their own limits.');

export type ModelRoute = z.infer<typeof modelRoute>;

/** A Model that a route names, and the field that does, within the route. */
export interface RoutedModel {
  name: string;
  path: string;
}

/** All Models that a route names: to answer, to tell calls apart, to judge and to write. */
export function routedModels({ candidates, complexity, consensus }: ModelRoute): RoutedModel[] {
  const helpers: [string | undefined, string][] = [
    [complexity?.classifier?.model, 'complexity.classifier.model'],
    [consensus?.judge, 'consensus.judge'],
    [consensus?.synthesizer, 'consensus.synthesizer'],
  ];
  return [
    ...candidates.map(({ model }, index) => ({ name: model, path: `candidates[${index}].model` })),
    ...helpers.flatMap(([name, path]) => (name === undefined ? [] : [{ name, path }])),
  ];
}
