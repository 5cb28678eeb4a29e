// Knowledge: documents that agents search, and the Model that places them.
import { z } from 'zod';
import { dnsLabel, objectName, secretKeyRef, someTime, type SecretKeyRef } from './common.ts';
import { listMap, rules } from './markers.ts';
import type { ModelSpec } from './model.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

const auth = z
  .object({
    secretRef: secretKeyRef.describe('The Secret that holds the token, or user:password for basic.'),
    scheme: z.enum(['bearer', 'basic']).default('bearer').describe('How it is presented.'),
  })
  .describe('How to sign in. Agents never see the secret.');

const address = (pattern: RegExp) => z.string().max(2048).regex(pattern);

const source = z
  .object({
    name: dnsLabel.describe('Names it among the others; citations say it.'),
    configMap: z
      .object({
        name: objectName.describe('A ConfigMap of this namespace.'),
        keys: z
          .array(z.string().min(1).max(253).describe('One key.'))
          .min(1)
          .max(256)
          .optional()
          .describe('Which of its keys are documents. Absent: all.'),
      })
      .optional()
      .describe('Each key is a document.'),
    // A user name or a query could hide a key in plain sight.
    url: address(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/)
      .optional()
      .describe('One document: text, Markdown or HTML.'),
    git: z
      .object({
        url: address(/^https?:\/\/[^\s/?#@]+\/[^\s?#]*$/).describe('The repository, over HTTPS.'),
        ref: z
          .string()
          .min(1)
          .max(255)
          .regex(/^[A-Za-z0-9][-A-Za-z0-9._/]*$/)
          .optional()
          .describe('A branch or a tag. Absent: the default branch.'),
        paths: z
          .array(z.string().min(1).max(255).describe('One pattern.'))
          .min(1)
          .max(64)
          .optional()
          .describe(
            'Which files are documents: * stands for any characters but /, and ** for any. Absent: *.md, *.txt and *.html, wherever they are.',
          ),
      })
      .optional()
      .describe('Files of a repository; each is a document.'),
    auth: auth.optional().describe('How to sign in at url or git. Agents never see the secret.'),
  })
  .meta(
    rules(
      {
        message: 'a source is one of configMap, url and git: set exactly one',
        rule: '[has(self.configMap), has(self.url), has(self.git)].exists_one(one, one)',
      },
      { message: 'nobody signs in at a ConfigMap: remove auth', rule: '!has(self.configMap) || !has(self.auth)' },
    ),
  )
  .describe('Where documents come from.');

export const knowledgeSpec = z.object({
  description: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe('What is to be found here; models read it to decide whether they search.'),
  model: dnsLabel.describe('The Model of this namespace that embeds; no route.'),
  sources: z.array(source).min(1).max(32).meta(listMap('name')).describe('Where the documents come from.'),
  chunking: z
    .object({
      characters: z.int().min(200).max(8000).default(1200).describe('How long a passage is at most.'),
      overlap: z
        .int()
        .min(0)
        .max(2000)
        .default(150)
        .describe('How much of a passage is said again at the beginning of the next one, where a section is cut.'),
    })
    .meta(
      rules({
        message: 'overlap must be at most half of characters, or the passages would hardly go on',
        rule: 'self.overlap * 2 <= self.characters',
      }),
    )
    .default({ characters: 1200, overlap: 150 })
    .describe('How documents are cut into passages.'),
  refresh: someTime
    .optional()
    .describe('How often url and git are asked for changes. 10m if absent. ConfigMaps are looked at every 15 seconds.'),
  trust: z
    .enum(['trusted', 'untrusted'])
    .default('untrusted')
    .describe('Whether its documents may hold words of strangers.'),
  limits: z
    .object({
      documents: z.int().min(1).max(10_000).optional().describe('How many there may be. 1000 if absent.'),
      bytes: z
        .int()
        .min(1024)
        .max(64 * 1024 * 1024)
        .optional()
        .describe('How large all of them may be together. 16 MiB if absent.'),
    })
    .optional()
    .describe('Beyond them nothing is taken over, and the status says so.'),
});

export const knowledgeStatus = z.object({
  observedGeneration,
  documents: z.int().optional().describe('How many documents there are.'),
  chunks: z.int().optional().describe('How many passages they make.'),
  indexed: z.int().optional().describe('How many of them can be found.'),
  revision: z.string().max(64).optional().describe('Changes when a document changes.'),
  lastRefresh: z.string().max(64).optional().describe('When all sources were last read, RFC 3339.'),
  conditions,
});

/** What an Agent may search. */
export const knowledgeGrant = z.object({
  name: dnsLabel.describe('A Knowledge of this namespace.'),
  results: z
    .int()
    .min(1)
    .max(20)
    .optional()
    .describe('How many passages a search brings if the model asks for no number. 5 if absent.'),
});

export type KnowledgeSpec = z.infer<typeof knowledgeSpec>;
export type KnowledgeSource = KnowledgeSpec['sources'][number];
export type KnowledgeStatus = z.infer<typeof knowledgeStatus>;
export type Knowledge = Resource<KnowledgeSpec, KnowledgeStatus>;
export type KnowledgeGrant = z.infer<typeof knowledgeGrant>;

/** The Secrets that it signs in with, and where the spec names them. */
export const knowledgeSecrets = ({ sources }: Pick<KnowledgeSpec, 'sources'>): { ref: SecretKeyRef; path: string }[] =>
  sources.flatMap(({ auth: one }, index) =>
    one ? [{ ref: one.secretRef, path: `spec.sources[${index}].auth.secretRef` }] : [],
  );

/** The Agent under which the usage of a Knowledge is counted. */
export const knowledgeAgent = (name: string): string => `knowledge-${name}`;

/** Vectors of different spaces have nothing to say about one another. */
export const vectorSpace = (model: string, { provider, model: known, baseUrl, simulated }: ModelSpec): string =>
  [provider, baseUrl, known ?? model, simulated?.embeddingDimensions].filter((part) => part !== undefined).join(' ');
