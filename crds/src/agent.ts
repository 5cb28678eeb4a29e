// Agent: instructions and a model, and how it is served.
import { z } from 'zod';
import { dnsLabel, envVar, gpuRequest, image, jsonSchema, objectName, resources, someTime } from './common.ts';
import { knowledgeGrant } from './knowledge.ts';
import { usd } from './limits.ts';
import { listMap, rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';
import type { ValidationRule } from './structural.ts';
import { toolGrant } from './tool.ts';

const endpointPath = z
  .string()
  .max(253)
  .regex(/^\/([A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*)?$/)
  .meta(
    rules(
      {
        message:
          'the agent itself answers /, /health, /healthz, /readyz, /metrics, /generate and all below /v1 and /a2a; choose another path such as /summarize',
        rule: `!self.matches('^/(health|healthz|readyz|metrics|generate|(a2a|v1)(/.*)?)?$')`,
      },
      {
        message:
          'no part of the path may begin with a dot: /.well-known belongs to the agent itself, and /. and /.. are resolved on the way',
        rule: `!self.contains('/.')`,
      },
    ),
  );

const endpoint = z
  .object({
    path: endpointPath.describe('Where the endpoint answers POST requests, such as /summarize.'),
    input: z
      .object({ schema: jsonSchema.describe('A JSON Schema.') })
      .optional()
      .describe('What a request must look like.'),
    prompt: z.string().min(1).max(16384).describe('The prompt; $(request.field) stands for a field of the request.'),
  })
  .describe('One endpoint.');

const gateway = z.object({
  name: objectName.describe('The name of the Gateway.'),
  namespace: dnsLabel.optional().describe('Its namespace, if another.'),
  sectionName: objectName.optional().describe('One listener of the Gateway.'),
});

const tls = z
  .object({
    secretName: objectName.describe('The Secret that holds, or shall hold, the certificate.'),
    issuer: objectName.optional().describe('A cert-manager Issuer of this namespace.'),
    clusterIssuer: objectName.optional().describe('A cert-manager ClusterIssuer.'),
  })
  .meta(
    rules({
      message: 'one issuer signs the certificate: keep issuer or clusterIssuer, not both',
      rule: '!has(self.issuer) || !has(self.clusterIssuer)',
    }),
  );

const expose = z
  .object({
    host: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
      .describe('The host name under which the agent answers, such as agents.example.com.'),
    path: z
      .string()
      .max(253)
      .regex(/^\/([A-Za-z0-9_~-][A-Za-z0-9._~-]*(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?$/)
      .default('/')
      .describe('The path under which the agent answers, such as /researcher; without a slash at its end.'),
    gateway: gateway.optional().describe('Expose through the Gateway API, with an HTTPRoute.'),
    ingress: z
      .object({
        className: objectName.optional().describe('The IngressClass. Absent: the default of the cluster.'),
        tls: tls.optional().describe('Serve HTTPS.'),
      })
      .optional()
      .describe('Expose through an Ingress.'),
  })
  .meta(
    rules({
      message: 'choose one door: set exactly one of gateway (an HTTPRoute) and ingress (an Ingress)',
      rule: 'has(self.gateway) != has(self.ingress)',
    }),
  );

const autoscaling = z
  .object({
    minReplicas: z.int().min(1).max(1000).default(1).describe('Never fewer pods than these.'),
    maxReplicas: z.int().min(1).max(1000).describe('Never more pods than these.'),
    targetCpu: z
      .int()
      .min(1)
      .max(100)
      .default(70)
      .describe('The CPU utilisation to aim at, in percent of the request.'),
  })
  .meta(
    rules({
      message: 'minReplicas must not exceed maxReplicas: raise maxReplicas or lower minReplicas',
      rule: 'self.minReplicas <= self.maxReplicas',
    }),
  );

const serving = z
  .object({
    replicas: z.int().min(0).max(1000).default(1).describe('How many pods. With autoscaling: 1, or 0 to pause.'),
    autoscaling: autoscaling.optional().describe('Let a HorizontalPodAutoscaler choose the number of pods.'),
    endpoints: z
      .array(endpoint)
      .max(32)
      .meta(listMap('path'))
      .optional()
      .describe('Further HTTP endpoints, each with a path and a prompt of its own.'),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('How much the agent logs.'),
    expose: expose.optional().describe('Make the agent reachable from outside the cluster.'),
  })
  .meta(
    rules({
      message: 'autoscaling chooses the number of pods; remove replicas or scale autoscaling.maxReplicas',
      rule: '!has(self.autoscaling) || self.replicas <= 1',
      fieldPath: '.replicas',
    }),
  );

/** Whom an Agent may ask. */
const agentGrant = z.object({
  name: dnsLabel.describe('An Agent of this namespace.'),
  description: z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .describe('When to ask it; the model reads it. Absent: what that Agent says of itself.'),
  handOff: z
    .boolean()
    .default(false)
    .describe(
      'Whether it takes the task over: it is sent the conversation, and what it answers is the answer of the task.',
    ),
});

export const agentSpec = z.object({
  description: z.string().max(1024).optional().describe('What the agent is for, in a sentence; part of its A2A card.'),
  instructions: z.string().min(1).max(32768).describe('The system prompt.'),
  model: dnsLabel.describe('The Model of this namespace that answers.'),
  tools: z
    .array(toolGrant.describe('One Tool.'))
    .max(64)
    .meta(listMap('name'))
    .optional()
    .describe('What it may use. The gateway calls them, and checks each call.'),
  knowledge: z
    .array(knowledgeGrant.describe('One Knowledge.'))
    .max(16)
    .meta(listMap('name'))
    .optional()
    .describe('What it may search: its model is offered a tool search_<name> for each.'),
  agents: z
    .array(agentGrant.describe('One Agent.'))
    .max(32)
    .meta(listMap('name'))
    .optional()
    .describe('Other agents that it may ask, or hand its task over to. They must be served.'),
  output: z
    .object({ schema: jsonSchema.describe('A JSON Schema.') })
    .optional()
    .describe('What each answer must look like.'),
  memory: z
    .object({
      turns: z
        .int()
        .min(1)
        .max(1000)
        .default(50)
        .describe('How many questions with their answers are kept of one conversation. Older ones are left out.'),
    })
    .optional()
    .describe('Remember conversations with callers, who name them by id. Steps of Runs have none.'),
  runtime: z
    .object({
      image: image.optional().describe('The image that runs the agent. Absent: the generic agent-runtime.'),
      resources: resources.optional().describe('What the container needs.'),
      env: z.array(envVar).max(64).meta(listMap('name')).optional().describe('Further environment variables.'),
      gpu: gpuRequest.optional().describe('Devices for the pod.'),
      runtimeClassName: objectName.optional().describe('A RuntimeClass such as gvisor or kata.'),
      serviceAccountName: objectName
        .meta(
          rules({
            // The gateway knows agents by these names: with another's account an agent would pass for the other.
            message: 'ServiceAccounts that begin with agent- belong to single agents; choose another name, or none',
            rule: `!self.startsWith('agent-')`,
          }),
        )
        .optional()
        .describe("An existing ServiceAccount. Absent: the agent's own."),
    })
    .optional()
    .describe('How its pods run.'),
  limits: z
    .object({
      turns: z
        .int()
        .min(1)
        .max(1000)
        .optional()
        .describe(
          'How often it may ask its model for one answer: once, and again after each round of tools. 16 if absent.',
        ),
      duration: someTime.optional().describe('How long one answer may take, its tools included. 10m if absent.'),
      contextCharacters: z
        .int()
        .min(8192)
        .max(2_000_000)
        .optional()
        .describe(
          'How long the conversation with its model may grow. Beyond it the oldest results of tools are left out. 400000 if absent, which is about 100000 tokens.',
        ),
      tokens: z
        .int()
        .min(1)
        .max(1_000_000_000_000)
        .optional()
        .describe('How many tokens its model calls may read and write together.'),
      costUsd: usd.optional().describe('What they may cost, in USD. A Model without a known price is refused.'),
    })
    .optional()
    .describe('How much one answer may take: tokens and money are those of an attempt of a step.'),
  serving: serving
    .optional()
    .describe('Keep the agent running behind a Service. Absent: each of its steps runs in a Job.'),
});

export const agentRules: ValidationRule[] = [
  {
    message: 'memory is of conversations with callers, and this agent has none: set serving, or leave memory out',
    rule: '!has(self.spec.memory) || has(self.spec.serving)',
  },
  {
    // The gateway knows an agent by its account; with that of others it would remember what they were told.
    message: 'an agent with memory needs a ServiceAccount of its own: leave runtime.serviceAccountName out',
    rule: '!has(self.spec.memory) || !has(self.spec.runtime) || !has(self.spec.runtime.serviceAccountName)',
  },
];

export const agentStatus = z.object({
  observedGeneration,
  url: z.string().max(2048).optional().describe('Where the agent answers inside the cluster.'),
  externalUrl: z.string().max(2048).optional().describe('Where the agent answers from outside.'),
  card: z.string().max(2048).optional().describe("The address of the agent's A2A card."),
  replicas: z.int().optional().describe('How many pods there are.'),
  readyReplicas: z.int().optional().describe('How many of them are ready.'),
  selector: z.string().max(1024).optional().describe('The label selector of the pods, for the scale subresource.'),
  conditions,
});

export type AgentSpec = z.infer<typeof agentSpec>;
export type AgentStatus = z.infer<typeof agentStatus>;
export type AgentGrant = z.infer<typeof agentGrant>;
export type Agent = Resource<AgentSpec, AgentStatus>;

/** So many agents in a row may ask each other, so that a circle comes to an end. */
export const DELEGATION_DEPTH = 5;
